/** Every command with its verbs, operands, flags and exit codes: usage, completion and docs/commands.md are made from it. */
import { agentFlags } from './agent-flags.ts';
import type { CommandName } from './command.ts';
import { controllerFlags } from './controller-flags.ts';
import type { Flag } from './flag.ts';
import {
  applyFlags,
  cleanupFlags,
  clusterFlags,
  doctorFlags,
  netConfSetFlags,
  planFlags,
  purgeFlags,
  releaseFlags,
  reserveFlags,
  storeFlags,
} from './operator-flags.ts';

export interface Verb {
  /** Empty for a command without verbs. */
  readonly name: string;
  /** True where the command alone means this verb. */
  readonly byDefault?: boolean;
  /** As usage shows them, such as `SUBNET`; empty for none. */
  readonly operands: string;
  /** One line, in lower case and without a full stop. */
  readonly does: string;
  /** Whole sentences, one paragraph each. */
  readonly details: readonly string[];
  readonly flags: readonly Flag[];
  readonly exits: readonly Exit[];
}

export interface Exit {
  readonly code: number;
  readonly means: string;
}

export interface CommandDescription {
  readonly name: CommandName;
  readonly verbs: readonly Verb[];
}

const succeeds: Exit = { code: 0, means: 'done' };
const misused: Exit = { code: 2, means: 'the command line is wrong' };
const plain = { details: [], flags: [], exits: [] } as const;

const controller: CommandDescription = {
  name: 'controller',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'write the routes of all leases; of several controllers one does' },
      details: [
        'With "Writer": "controller" in net-conf, agents need no credentials of the cloud, and this writes all routes. Run two or three: they elect the one that writes, and another takes its place within --leader-elect-lease-duration and --leader-elect-retry-period.',
        'Its status page, bound to loopback unless told otherwise, is at http://127.0.0.1:8085/. Each flag can also be given as FLANNELD_ and its name in capitals; the command line wins.',
      ],
      flags: controllerFlags,
      exits: [
        { code: 0, means: 'ended by SIGTERM or SIGINT; the routes stay as they are' },
        {
          code: 1,
          means: 'something that waiting can’t mend: a flag’s value, a net-conf without a cloud, etcd refuses the user',
        },
        misused,
      ],
    },
  ],
};

const health: readonly Exit[] = [
  { code: 0, means: 'healthy: no problem is an error' },
  { code: 1, means: 'not healthy, or etcd or the cloud can’t be read' },
  misused,
];
const readOnly = 'Rights to read suffice, in etcd and in the cloud; nothing is written anywhere.';
const listed = (members: string): string =>
  `-o json and -o yaml give one object: "at" (when it was looked), "healthy", "problems" (each with "severity", "code", "text" and "hint"), ${members}.`;
const halfALook =
  'Where the cloud can’t be read, what stands in etcd is shown all the same, and why the rest is missing.';

const plan: CommandDescription = {
  name: 'plan',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'show what would change in the route tables, and why' },
      details: [
        'Table by table: each step with its next hops and its reason; then what is held back, what is in the way, and the routes of others; last the leases that get no route.',
        `${readOnly} Where routes are left whose lease is gone, it looks twice, ten seconds apart, since a lease that is missed once may be about to come back.`,
        '--json prints one object: "changes" (true when apply would do something), "prepare" (NICs that do not forward yet), "refused" (leases that get no route), "tables" (for each its "id", "use", "steps", "held", "conflicts", "foreign" and the number "unchanged") and "summary" (a count of each). A step has "action" (create, replace, withdraw, delete, forget), "destination", "from" (where it leads), "to" (where it will lead) and "reason".',
      ],
      flags: planFlags,
      exits: [
        { code: 0, means: 'nothing would change' },
        { code: 1, means: 'something can’t be read, or the command line is wrong' },
        { code: 2, means: 'changes are pending' },
      ],
    },
  ],
};

const apply: CommandDescription = {
  name: 'apply',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'show the plan, ask, and carry it out' },
      details: [
        'It acts for all leases, whoever writes the routes otherwise. While a controller leads it refuses: that one applies by itself. It holds the lead while it writes, so that none begins.',
        'A plan that replaces or deletes waits first for as long as a write to the cloud may take (10 s on AWS, 12 s elsewhere): a request of a leader before may still be on its way.',
      ],
      flags: applyFlags,
      exits: [
        { code: 0, means: 'all is as the leases ask for, but for what is held back or in the way' },
        { code: 1, means: 'something failed, nobody agreed, or a controller leads' },
        misused,
      ],
    },
  ],
};

const routes: CommandDescription = {
  name: 'routes',
  verbs: [
    {
      ...{
        name: 'list',
        byDefault: true,
        operands: '',
        does: 'list the routes inside the pod network, problems first',
      },
      details: [
        `Of every table that serves the nodes. ${readOnly} ${halfALook}`,
        listed(
          '"tables" (use and counts of each) and "routes" ("tableId", "destination", "state", "target", "reason")',
        ),
      ],
      flags: clusterFlags,
      exits: health,
    },
    {
      ...{ name: 'purge', operands: '', does: 'take all routes of ours out, before a cluster is destroyed' },
      details: [
        'Every route that a record says is ours is taken out of its table, and its lease is ended first: a route is never taken from a lease that stands. Routes of others stay and are listed. --network must be what net-conf has.',
        'End the agents and the controllers before: while a controller leads it is refused, and an agent that runs takes its lease and its route again. Such routes are named, and the exit code is 1.',
        'A cluster that went back from --backend-type’s cloud to its overlay gives that flag: then leases of the overlay stay, since they need no route. Routes of nodes that still send by them stay as well.',
        'With leases in Kubernetes, which are nodes, none is ended and all routes go: there an agent writes its route again only with "Writer": "node".',
      ],
      flags: purgeFlags,
      exits: [
        { code: 0, means: 'no route of ours is left' },
        { code: 1, means: 'some are left, nobody agreed, or a controller leads' },
        misused,
      ],
    },
  ],
};

const status: CommandDescription = {
  name: 'status',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'say in a few lines how the cluster is, problems first' },
      details: [
        `${readOnly} ${halfALook}`,
        listed('"leader", "nodes", "tables" and "routes" as below, and what net-conf says'),
      ],
      flags: clusterFlags,
      exits: health,
    },
  ],
};

const leases: CommandDescription = {
  name: 'leases',
  verbs: [
    {
      ...{ name: 'list', byDefault: true, operands: '', does: 'list the leases and their nodes, problems first' },
      details: [
        `${readOnly} ${halfALook}`,
        listed(
          'and "leases" ("lease", "state", "reason", "instanceId", "publicIps", "routesWanted", "routesPresent", "report" and more)',
        ),
      ],
      flags: clusterFlags,
      exits: health,
    },
    {
      ...{ name: 'release', operands: 'SUBNET', does: 'end a lease, so that its subnet is free again' },
      details: [
        'SUBNET is a lease as the list shows it: 10.244.7.0/24, or 10.244.7.0/24,fd42:0:0:7::/64 with both families (one of the two is enough).',
        'Whose lease it is is shown first, and asked. A node whose agent runs takes the same subnet again at once: end the agent first to free it for others. The routes of a lease that has ended are taken out by the writer of routes, not by this command.',
      ],
      flags: releaseFlags,
      exits: [
        succeeds,
        { code: 1, means: 'no such lease, it changed meanwhile, nobody agreed, or etcd refused' },
        misused,
      ],
    },
    {
      ...{ name: 'reserve', operands: 'SUBNET', does: 'pin a lease, so that it never ends' },
      details: [
        'A lease that stands keeps its node and loses its end. A free subnet is kept for the node with the address --public-ip.',
        'A node keeps a pinned subnet for as long as the pin stands. "leases release" ends it.',
      ],
      flags: reserveFlags,
      exits: [
        succeeds,
        { code: 1, means: 'no subnet of the network, another lease stands against it, or etcd refused' },
        misused,
      ],
    },
  ],
};

const netconf: CommandDescription = {
  name: 'netconf',
  verbs: [
    {
      ...{ name: 'check', operands: 'FILE', does: 'check a net-conf.json and list everything wrong with it' },
      details: ['FILE "-" is standard input. Nothing is read from etcd, and nothing is changed.'],
      flags: [],
      exits: [
        { code: 0, means: 'an agent would take it' },
        { code: 1, means: 'FILE can’t be read' },
        { code: 2, means: 'there are problems, or the command line is wrong' },
      ],
    },
    {
      ...{ name: 'get', operands: '', does: 'print the net-conf that is stored' },
      details: [
        'It is printed as it stands, so that "netconf get > FILE" and "netconf set FILE" change nothing. Only secrets (ali-vpc: AccessKeyID, AccessKeySecret) are hidden; "netconf set" refuses what stands in their place.',
      ],
      flags: storeFlags,
      exits: [{ code: 0, means: 'printed' }, { code: 1, means: 'none is stored, or etcd can’t be read' }, misused],
    },
    {
      ...{ name: 'set', operands: 'FILE', does: 'check a net-conf.json and store it' },
      details: [
        'FILE "-" is standard input. All problems are listed at once, and then nothing is stored. Nor is it when somebody else stores another one at the same moment.',
        'A network or a subnet length that leases which stand do not fit is refused: their nodes would lose their routes. --force stores it all the same.',
      ],
      flags: netConfSetFlags,
      exits: [
        { code: 0, means: 'it is stored, or stood there already' },
        { code: 1, means: 'etcd can’t be read or written' },
        { code: 2, means: 'refused, and nothing changed; or the command line is wrong' },
      ],
    },
  ],
};

const dockerOpts: CommandDescription = {
  name: 'docker-opts',
  verbs: [
    {
      ...{ name: '', operands: '[OPTIONS]', flags: [] },
      does: 'write Docker’s options for this node’s subnet, as mk-docker-opts.sh does',
      details: [
        '-f FILE is subnet.env (default /run/flannel/subnet.env), -d FILE what is written (default /run/docker_opts.env). -i gives each option as a variable of its own (DOCKER_OPT_BIP, DOCKER_OPT_IPMASQ, DOCKER_OPT_MTU), -c all of them in one; neither means both. -k KEY names that one (default DOCKER_OPTS); what it has in the environment is kept in front. -m leaves --ip-masq out.',
        'Without subnet.env the options are empty. Called as mk-docker-opts.sh, by a link of that name, it is this command.',
      ],
      exits: [
        { code: 0, means: 'written' },
        {
          code: 1,
          means:
            'a wrong option, or a value in the file that can’t be, and nothing is written; or it is written, and the kernel has a route to the subnet by a gateway',
        },
      ],
    },
  ],
};

const doctor: CommandDescription = {
  name: 'doctor',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'check this node, its store, its cloud, its routes and its kernel' },
      details: [
        'Each finding that is not ok comes with what to do about it; docs/doctor.md explains them all. Nothing is changed.',
        "Run it on the node, as root, with the agent's flags and FLANNELD_… variables: it takes all of them, and heeds those below.",
      ],
      flags: doctorFlags,
      exits: [
        { code: 0, means: 'nothing failed; there may be warnings' },
        { code: 1, means: 'something failed, or a flag’s value is out of range' },
        misused,
      ],
    },
  ],
};

const cleanup: CommandDescription = {
  name: 'cleanup',
  verbs: [
    {
      ...{ name: '', operands: '', does: 'remove what this program made on this node, and nothing else' },
      details: [
        'Packet rules of both kinds, links that carry its mark (the alias "flannel-vpc"), probe addresses, routes of the kernel to peers and blackholes, subnet.env, the CNI conflist and Docker’s options. It lists them first, and asks; end the agent before. What it does not know for its own stays, and is named. docs/cleanup.md has all of it.',
        'A bridge with containers on it stays unless --force is given. Kernel settings stay, since others may rely on them. Leases and routes of the cloud are not its business: "leases release" ends a lease, "routes purge" takes a whole cluster’s routes out.',
        'Give it --subnet-file, --cni-conf and --bridge as the agent has them. Ended half-way, it goes on when it is run again.',
      ],
      flags: cleanupFlags,
      exits: [
        { code: 0, means: 'nothing of ours is left, or --dry-run' },
        { code: 1, means: 'something of ours is left, nobody agreed, or an agent runs' },
        misused,
      ],
    },
  ],
};

export const commandTable: readonly CommandDescription[] = [
  {
    name: 'agent',
    verbs: [
      {
        ...{ name: '', operands: '', does: "run this node's daemon; takes flanneld's flags", details: [] },
        flags: agentFlags,
        exits: [
          { code: 0, means: 'ended by SIGTERM or SIGINT; lease, routes and rules stay as they are' },
          {
            code: 1,
            means:
              'something that waiting can’t mend: a flag’s value, no such interface, an unknown backend, etcd refuses the user, another node holds our subnet; or the end by a signal took over 8 s, since a program it had begun, such as ip, hangs',
          },
          misused,
        ],
      },
    ],
  },
  controller,
  plan,
  apply,
  status,
  leases,
  routes,
  netconf,
  doctor,
  cleanup,
  dockerOpts,
  { name: 'version', verbs: [{ ...plain, name: '', operands: '', does: 'print the version' }] },
  {
    name: 'help',
    verbs: [{ ...plain, name: '', operands: '[COMMAND]', does: 'print this, or what a command takes' }],
  },
  {
    name: 'completion',
    verbs: [
      { ...plain, name: 'bash', operands: '', does: 'print a completion script for bash' },
      { ...plain, name: 'zsh', operands: '', does: 'print a completion script for zsh' },
    ],
  },
];

/** The description of a command, and a bug where there is none. */
export function describeCommand(name: CommandName): CommandDescription {
  const found = commandTable.find((command) => command.name === name);
  if (!found) throw new Error(`command ${name} is not in the table`);
  return found;
}

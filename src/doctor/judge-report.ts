/** What this node's agent says of itself, and who leads the writers. Pure. */
import type { LeaderInfo } from '../../lease/election.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

/** `undefined`: no report stands beside the lease. */
export function judgeReport(report: NodeReport | undefined): Finding {
  const check = 'node report';
  if (!report) {
    return warning(
      check,
      "there is none: this node's agent has told nothing of itself",
      'Start the agent, or update it: earlier versions report nothing.',
    );
  }
  const said = report.reason === '' ? '' : `: ${report.reason}`;
  if (report.ready) return ok(check, `ready since ${report.since}${said}`);
  return failed(
    check,
    `not ready since ${report.since}${said || ', without a reason'}`,
    "Read the agent's log, and mend what the other checks found.",
  );
}

/** Nodes that write their own routes stand in line at a table that takes one change at a time. `most`: what the cloud bears. */
export function judgeNodeWriters(nodes: number, most: number): Finding {
  const check = 'nodes that write';
  const found = `${nodes} nodes each write their own route, one after the other; up to ${most} can`;
  if (nodes <= most) return ok(check, found);
  return failed(
    check,
    found,
    'Set "Writer": "controller" in net-conf and start "flannel-vpc controller": it writes many routes in one call.',
  );
}

/** Where one controller writes for all, there must be one. */
export function judgeLeader(writer: 'node' | 'controller', leader: LeaderInfo | undefined): Finding {
  const check = 'controller';
  if (writer === 'controller') {
    if (leader) return ok(check, `${leader.holder} leads since ${leader.since}`);
    return failed(
      check,
      'none leads: nobody writes routes',
      'Start "flannel-vpc controller", and read its log. (One with --leader-elect=false does not show here.)',
    );
  }
  if (!leader) return ok(check, 'none, and none is needed: each node writes its own route');
  return warning(
    check,
    `${leader.holder} leads, though net-conf has each node write its own route`,
    'Set "Writer": "controller" in net-conf, or stop the controller.',
  );
}

/** ali-vpc on the simulated cloud, held to what all providers promise. */
import { createProvider } from '../../../providers/ali-vpc/ali-vpc.ts';
import type { AliVpcConfig } from '../../../providers/ali-vpc/config.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { onInstance } from '../../clouds/alibaba/metadata-here.ts';
import { createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import { describeProvider } from '../../clouds/conformance/describe-provider.ts';
import type { Caller, Subject } from '../../clouds/conformance/subject.ts';

const config: AliVpcConfig = { routeTableIds: [] };

describeProvider('ali-vpc on the simulated Alibaba Cloud', async (): Promise<Subject> => {
  const world = await createAlibabaWorld();
  const all = { direction: 'ingress', policy: 'Accept', protocol: 'ALL', ports: '-1/-1', priority: 1 } as const;
  world.account.securityGroup.rules.push({ ...all, cidr: '10.244.0.0/16' });
  const parts = { config, logger: silentLogger, clock: systemClock, random: Math.random };
  const servers: { stop(): Promise<void> }[] = [];
  return {
    world,
    async provider(as: Caller) {
      if (typeof as === 'string') {
        return createProvider({ ...parts, environment: world.operatorEnvironment(as, 'suite') });
      }
      // All instances' metadata servers have one address.
      const here = await world.startMetadata(as);
      servers.push(here);
      return onInstance(createProvider({ ...parts, environment: here.environment }), here);
    },
    outside: {
      module: new URL('../../../providers/ali-vpc/ali-vpc.ts', import.meta.url).pathname,
      config,
      environment: world.operatorEnvironment('controller', 'outside'),
    },
    async close() {
      for (const server of servers) await server.stop();
    },
  };
});

/** The inventory: every place where the program reads what others wrote. */
import type { Edge } from './edge.ts';
import { edgesOfClouds } from './edges-of-clouds.ts';
import { edgesOfEtcd } from './edges-of-etcd.ts';
import { edgesOfHosts } from './edges-of-hosts.ts';
import { edgesOfKubernetes } from './edges-of-kubernetes.ts';
import { edgesOfTheProgram } from './edges-of-the-program.ts';

export const edges: readonly Edge[] = [
  ...edgesOfEtcd,
  ...edgesOfKubernetes,
  ...edgesOfHosts,
  ...edgesOfTheProgram,
  ...edgesOfClouds,
];

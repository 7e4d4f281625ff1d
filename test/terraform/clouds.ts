/** The modules of clouds whose providers can't be had here. */
import { alicloud } from './cloud-alicloud.ts';
import { azure } from './cloud-azure.ts';
import { gce } from './cloud-gce.ts';
import type { CloudModule } from './cloud-module.ts';

export const cloudModules: readonly CloudModule[] = [gce, alicloud, azure];

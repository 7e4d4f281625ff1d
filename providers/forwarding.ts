/** What a cloud's forwarding switch is called, in sentences. */
import type { ForwardingSetting } from './provider.ts';

/** Such as "the source/dest check of eni-1 is on": why packets that are not its own don't get through. */
export function notForwarding({ name, wanted }: ForwardingSetting, nicId: string): string {
  return `the ${name} of ${nicId} is ${wanted === 'off' ? 'on' : 'off'}`;
}

/** Such as "source/dest check switched off". */
export function switchedForwarding({ name, wanted }: ForwardingSetting): string {
  return `${name} switched ${wanted}`;
}

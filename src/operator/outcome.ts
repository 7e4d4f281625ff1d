/** What was done and what was not, line by line. Pure. */
import type { FlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { RouteStep } from '../routing/route-plan.ts';
import { type Paint, printable } from './paint.ts';

const verbs: Readonly<Record<RouteStep['action'], string>> = {
  create: 'created',
  replace: 'replaced',
  withdraw: 'withdrawn',
  delete: 'deleted',
  forget: 'forgotten',
};

/** `done  created 10.244.7.0/24 in rtb-1 -> eni-07`. */
export function doneLine(step: RouteStep, paint: Paint): string {
  const target = 'nextHop' in step && step.action !== 'withdraw' ? ` -> ${step.nextHop.nicId}` : '';
  const text = `${verbs[step.action]} ${formatCidr(step.destination)} in ${step.tableId}${target}`;
  return `${paint.good('done')}  ${printable(text)}`;
}

/** Each failure, with what to do below it. */
export function failureLines(failures: readonly FlannelVpcError[], paint: Paint): readonly string[] {
  return failures.flatMap(({ message, hint }) => [
    `${paint.bad('failed')}  ${printable(message)}`,
    ...(hint === undefined ? [] : [`        ${hint}`]),
  ]);
}

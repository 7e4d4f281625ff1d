/** Colours, by meaning. Without them every text stays as it is. */
import { styleText } from 'node:util';

export interface Paint {
  good(text: string): string;
  caution(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

/** True on a terminal that can do it, unless `NO_COLOR` (https://no-color.org) is set to anything. */
export function wantsColours(isTerminal: boolean, environment: Readonly<Record<string, string | undefined>>): boolean {
  return isTerminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
}

export function createPaint(colours: boolean): Paint {
  const style = (format: Parameters<typeof styleText>[0]) =>
    colours ? (text: string) => styleText(format, text, { validateStream: false }) : (text: string) => text;
  return {
    good: style('green'),
    caution: style('yellow'),
    bad: style('red'),
    faint: style('dim'),
    strong: style('bold'),
  };
}

/** Text from a store or a cloud, without what a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\uFFFD');
}

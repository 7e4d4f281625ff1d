/** What a hostile server makes of an honest answer. */
import type { Sending } from './sending.ts';

export interface HonestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Hostility {
  /** For the report of a case that failed. */
  readonly name: string;
  /** Nobody can take it for an answer, where an answer is JSON or XML. */
  readonly unusable: boolean;
  /** It has no end: who asked must be told to give up. */
  readonly slow: boolean;
  /** @param elsewhere URL at the stranger's. */
  turn(honest: HonestAnswer, elsewhere: string): Sending;
}

/** Whether an answer has a form of its own; metadata servers' leaves are any text, lists among them. */
export function isStructured({ body }: HonestAnswer): boolean {
  return /^\s*[<{]/.test(body);
}

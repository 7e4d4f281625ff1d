/** What stands between this process and being ready, as named reasons; read by /readyz, /metrics, the log and the node's report. */
import { createWaker, type Waker } from '../core/waker.ts';

export interface Readiness {
  /** True when nothing is missing. */
  isReady(): boolean;
  /** Why not, in words, by part; empty when ready. */
  reasons(): Readonly<Record<string, string>>;
  /** What could not be shown of parts that count as there, in words. */
  notes(): Readonly<Record<string, string>>;
  /** Marks a part as missing, with the reason. */
  missing(part: string, reason: string): void;
  /** Marks a part as there; `note` says what of it could not be shown. */
  reached(part: string, note?: string): void;
  /** Woken by each change. */
  readonly changes: Waker;
}

/** Starts with the given parts missing. */
export function createReadiness(parts: Readonly<Record<string, string>>): Readiness {
  const missing = new Map(Object.entries(parts));
  const notes = new Map<string, string>();
  const changes = createWaker();
  return {
    isReady: () => missing.size === 0,
    reasons: () => Object.fromEntries(missing),
    notes: () => Object.fromEntries(notes),
    missing(part, reason) {
      if (missing.get(part) === reason) return;
      missing.set(part, reason);
      notes.delete(part);
      changes.wake();
    },
    reached(part, note = '') {
      if (!missing.delete(part) && (notes.get(part) ?? '') === note) return;
      if (note === '') notes.delete(part);
      else notes.set(part, note);
      changes.wake();
    },
    changes,
  };
}

/** What stands between this process and being ready, as named reasons; read by /readyz, /metrics and the log. */

export interface Readiness {
  /** True when nothing is missing. */
  isReady(): boolean;
  /** Why not, in words, by part; empty when ready. */
  reasons(): Readonly<Record<string, string>>;
  /** Marks a part as missing, with the reason. */
  missing(part: string, reason: string): void;
  /** Marks a part as there. */
  reached(part: string): void;
}

/** Starts with the given parts missing. */
export function createReadiness(parts: Readonly<Record<string, string>>): Readiness {
  const missing = new Map(Object.entries(parts));
  return {
    isReady: () => missing.size === 0,
    reasons: () => Object.fromEntries(missing),
    missing: (part, reason) => void missing.set(part, reason),
    reached: (part) => void missing.delete(part),
  };
}

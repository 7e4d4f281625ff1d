/** Headers of an answer, as the SDK's pipeline reads them. */

/** By names in lower case. */
export class SdkHeaders extends Map<string, string> implements Iterable<[string, string]> {
  override get(name: string): string | undefined {
    return super.get(name.toLowerCase());
  }

  override has(name: string): boolean {
    return super.has(name.toLowerCase());
  }

  override set(name: string, value: string | number | boolean): this {
    return super.set(name.toLowerCase(), String(value));
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this);
  }
}

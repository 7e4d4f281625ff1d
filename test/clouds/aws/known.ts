/** What every answer of EC2 has. @throws Error where LocalStack leaves it out. */
export function known<T>(value: T | undefined, what = 'something that every EC2 answer has'): T {
  if (value === undefined) throw new Error(`LocalStack left out ${what}`);
  return value;
}

/** An EC2 request as it comes over the wire: a form, signed with SigV4. */
import type { IncomingMessage } from 'node:http';

export interface Ec2Request {
  /** Without IAM's `ec2:` prefix, such as `CreateRoute`. */
  readonly action: string;
  readonly parameters: URLSearchParams;
  readonly accessKeyId: string | undefined;
  readonly sessionToken: string | undefined;
  readonly region: string;
  /** When the sender says it signed the request, wall clock milliseconds. */
  readonly signedAt: number | undefined;
}

export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

/** Reads the whole request. */
export async function readEc2Request(message: IncomingMessage): Promise<Ec2Request> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  const parameters = new URLSearchParams(Buffer.concat(parts).toString('utf8'));
  const [, accessKeyId, , region] =
    /Credential=([^/,]+)\/(\d+)\/([^/]+)\//.exec(message.headers.authorization ?? '') ?? [];
  return {
    action: parameters.get('Action') ?? '',
    parameters,
    accessKeyId,
    sessionToken: headerOf(message, 'x-amz-security-token'),
    region: region ?? 'eu-west-1',
    signedAt: parseAmzDate(headerOf(message, 'x-amz-date')),
  };
}

/** `Filter.1.Name`, `Filter.1.Value.1`, … */
export function filtersOf(parameters: URLSearchParams): readonly Filter[] {
  const filters: Filter[] = [];
  for (let index = 1; parameters.has(`Filter.${index}.Name`); index += 1) {
    filters.push({
      name: parameters.get(`Filter.${index}.Name`) ?? '',
      values: listOf(parameters, `Filter.${index}.Value`),
    });
  }
  return filters;
}

/** The same parameters with other filters. */
export function withFilters(parameters: URLSearchParams, filters: readonly Filter[]): URLSearchParams {
  const changed = new URLSearchParams([...parameters].filter(([name]) => !name.startsWith('Filter.')));
  for (const [index, { name, values }] of filters.entries()) {
    changed.set(`Filter.${index + 1}.Name`, name);
    for (const [place, value] of values.entries()) changed.set(`Filter.${index + 1}.Value.${place + 1}`, value);
  }
  return changed;
}

/** `Prefix.1`, `Prefix.2`, … */
export function listOf(parameters: URLSearchParams, prefix: string): readonly string[] {
  const values: string[] = [];
  for (let index = 1; parameters.has(`${prefix}.${index}`); index += 1)
    values.push(parameters.get(`${prefix}.${index}`) ?? '');
  return values;
}

function headerOf(message: IncomingMessage, name: string): string | undefined {
  const value = message.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function parseAmzDate(text: string | undefined): number | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '') ?? [];
  if (second === undefined) return undefined;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

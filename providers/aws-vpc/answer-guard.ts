/**
 * What EC2 answers is looked at before the SDK reads it. To the SDK any XML is an answer to anything: a page of whatever stands in
 * EC2's place would be a route that was created, and a VPC without network interfaces.
 */
import type { IncomingMessage } from 'node:http';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { longestAnswer, readBody } from '../http-body.ts';

/** The SDK's answer of its HTTP handler, as far as it is looked at. */
interface Raw {
  readonly statusCode: number;
  body: unknown;
}

/** Adds the look to the client: an answer that is none of the operation's fails as one that could not be read. */
export function guardAnswers(client: EC2Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const response = result.response as Raw;
      const bytes = await readBody(response.body as IncomingMessage, longestAnswer);
      const operation = (context.commandName ?? '').replace(/Command$/, '');
      if (response.statusCode < 300 && !isAnswerTo(operation, bytes)) {
        throw new Error(`the answer is not what EC2 sends to ${operation}`);
      }
      response.body = bytes;
      return result;
    },
    // The nearest to the wire.
    { step: 'deserialize', priority: 'low', name: 'guardAnswers' },
  );
}

/** `<DescribeRouteTablesResponse …>` to its end, without a document type: EC2 sends none, and one can take a reader's time. */
export function isAnswerTo(operation: string, bytes: Buffer): boolean {
  const root = `${operation}Response`;
  const head = bytes.subarray(0, 1_000).toString('utf8');
  const tail = bytes.subarray(-1_000).toString('utf8');
  return new RegExp(`^\\s*(?:<\\?xml[^>]*\\?>\\s*)?<${root}[\\s>]`).test(head) && tail.trimEnd().endsWith(`</${root}>`);
}

/** What of npm's audit counts: reports in npm's format, and npm itself against a registry that answers, refuses or is not there. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { type Advisory, exceptionsSchema, judge, readAudit } from '../../../tools/audit-report.ts';
import type { Lock } from '../../../tools/locked-packages.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const lock: Lock = {
  lockfileVersion: 3,
  packages: { '': {}, 'node_modules/shipped': {}, 'node_modules/middle': {}, 'node_modules/tool': { dev: true } },
};

/** As npm 11 printed it, with names of our own: an advisory, a package that has it by another, and a tool's advisory. */
const report = {
  auditReportVersion: 2,
  vulnerabilities: {
    shipped: {
      ...{ name: 'shipped', severity: 'high', isDirect: false },
      via: [
        {
          ...{ source: 1100001, name: 'shipped', dependency: 'shipped', title: 'Prototype pollution' },
          ...{ url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc', severity: 'high', cwe: ['CWE-1321'] },
          ...{ cvss: { score: 7.5, vectorString: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H' }, range: '<=1.2.3' },
        },
      ],
      ...{ effects: ['middle'], range: '<=1.2.3', nodes: ['node_modules/shipped'], fixAvailable: true },
    },
    middle: {
      ...{ name: 'middle', severity: 'high', isDirect: true, via: ['shipped'], effects: [], range: '>=1.0.0' },
      ...{ nodes: ['node_modules/middle'], fixAvailable: true },
    },
    tool: {
      ...{ name: 'tool', severity: 'low', isDirect: true },
      via: [
        {
          ...{ source: 1100002, name: 'tool', dependency: 'tool', title: 'Slow expression', severity: 'low' },
          ...{ url: 'https://github.com/advisories/GHSA-dddd-eeee-ffff', cwe: [], range: '<9' },
          cvss: { score: 0, vectorString: null },
        },
      ],
      ...{ effects: [], range: '<9', nodes: ['node_modules/tool'], fixAvailable: false },
    },
  },
  metadata: {
    vulnerabilities: { info: 0, low: 1, moderate: 0, high: 2, critical: 0, total: 3 },
    dependencies: { prod: 3, dev: 1, optional: 0, peer: 0, peerOptional: 0, total: 3 },
  },
};

/** As npm 11 printed it when a registry had no such endpoint. */
const refusal = {
  message: '405 Method Not Allowed - POST https://registry.example/-/npm/v1/security/advisories/bulk',
  ...{ method: 'POST', uri: 'https://registry.example/-/npm/v1/security/advisories/bulk', headers: {} },
  ...{ statusCode: 405, body: '', error: { summary: '', detail: '' } },
};

function found(): readonly Advisory[] {
  const answer = readAudit(JSON.stringify(report), lock);
  if (answer.kind !== 'report') throw new Error(answer.why);
  return answer.advisories;
}

const exception = {
  advisory: 'GHSA-aaaa-bbbb-cccc',
  package: 'shipped',
  reason: 'Only our own definitions are ever parsed by it.',
  until: '2026-12-31',
};

describe("npm's audit report", () => {
  it('names each advisory once, with its package and whether that ships', () => {
    expect(found()).toEqual([
      expect.objectContaining({ id: 'GHSA-aaaa-bbbb-cccc', package: 'shipped', severity: 'high', ships: true }),
      expect.objectContaining({ id: 'GHSA-dddd-eeee-ffff', package: 'tool', severity: 'low', ships: false }),
    ]);
  });

  it('is clean when there are none', () => {
    const clean = JSON.stringify({ ...report, vulnerabilities: {} });

    expect(readAudit(clean, lock)).toEqual({ kind: 'report', advisories: [] });
    expect(judge([], [], '2026-11-26', true)).toEqual({ open: [], lines: [] });
  });

  it.each([
    ['a refusal', JSON.stringify(refusal), '405'],
    ['an error', '{"error": {"code": "ENOLOCK", "summary": "no lockfile", "detail": ""}}', 'no lockfile'],
    ['text', 'npm error\nmore', 'npm error'],
    ['nothing', '', 'nothing'],
    ['a format to come', '{"auditReportVersion": 3, "vulnerabilities": {}}', 'format'],
  ])('is no answer when npm prints %s', (_, output, why) => {
    expect(readAudit(output, lock)).toEqual({ kind: 'no-answer', why: expect.stringContaining(why) });
  });
});

describe('an exception', () => {
  it('takes its advisory off, to the end of its last day, and says why', () => {
    const { open, lines } = judge(found(), [exception], '2026-12-31', true);

    expect(open.map(({ id }) => id)).toEqual(['GHSA-dddd-eeee-ffff']);
    expect(lines[0]).toContain(exception.reason);
  });

  it('counts for nothing the day after', () => {
    const { open, lines } = judge(found(), [exception], '2027-01-01', true);

    expect(open).toHaveLength(2);
    expect(lines[0]).toContain('ran out on 2026-12-31');
  });

  it('is for one package', () => {
    expect(judge(found(), [{ ...exception, package: 'middle' }], '2026-11-26', true).open).toHaveLength(2);
  });

  it('is named when nothing needs it any more', () => {
    expect(judge([], [exception], '2026-11-26', true).lines).toEqual([expect.stringContaining('can go')]);
    expect(judge([], [exception], '2026-11-26', false).lines).toEqual([]);
  });

  it.each([
    ['a reason', { reason: 'fine' }],
    ['a day that exists', { until: '2026-02-30' }],
    ['an advisory', { advisory: 'CVE-2026-1' }],
    ['known members only', { forever: true }],
  ])('needs %s', (_, wrong) => {
    expect(exceptionsSchema.safeParse([exception]).success).toBe(true);
    expect(exceptionsSchema.safeParse([{ ...exception, ...wrong }]).success).toBe(false);
  });
});

describe('make audit, with npm and a registry', () => {
  interface Run {
    readonly code: number;
    readonly output: string;
  }

  async function audit(registry: string): Promise<Run> {
    const argv = ['tools/audit.ts', `--registry=${registry}`, '--fetch-retries=0'];
    return await new Promise((resolve) => {
      execFile(process.execPath, argv, { cwd: root }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
      });
    });
  }

  /** A registry that has these advisories for whoever asks, or refuses with a status. */
  async function auditedBy(answer: number | Readonly<Record<string, unknown>>): Promise<Run> {
    const server = createServer((request, response) => {
      request.resume();
      const asked = request.url?.endsWith('/security/advisories/bulk') ?? false;
      response.statusCode = typeof answer === 'number' ? answer : asked ? 200 : 404;
      response.setHeader('content-type', 'application/json');
      response.end(typeof answer === 'number' ? '' : JSON.stringify(asked ? answer : {}));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      return await audit(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  it('ends with 0 when the registry knows nothing of our packages', async () => {
    const { code, output } = await auditedBy({});

    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain('what ships: 0 advisories that count');
    expect(output).toContain('all packages: 0 advisories that count');
  }, 120_000);

  it('ends with 1 and names the package when it knows something', async () => {
    const advisory = {
      ...{ id: 1, url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc', title: 'made up', severity: 'high' },
      ...{ vulnerable_versions: '*', cwe: [], cvss: { score: 0, vectorString: null } },
    };
    const { code, output } = await auditedBy({ zod: [advisory] });

    expect({ code, output }).toMatchObject({ code: 1 });
    expect(output).toContain('what ships: found: GHSA-aaaa-bbbb-cccc (high) in zod');
  }, 120_000);

  it('ends with 3 when the registry refuses, or is not there: that is no pass', async () => {
    const refused = await auditedBy(405);
    const absent = await audit('http://127.0.0.1:9');

    expect(refused).toEqual({ code: 3, output: expect.stringContaining('NOT AUDITED') });
    expect(refused.output).toContain('405');
    expect(absent).toEqual({ code: 3, output: expect.stringContaining('NOT AUDITED') });
  }, 120_000);
});

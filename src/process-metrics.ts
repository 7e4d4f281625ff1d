/** What is measured of the process itself, in an agent as in a controller. */
import { readdirSync } from 'node:fs';
import { Counter, Gauge, type Registry } from 'prom-client';

/** A gauge whose value is found when it is asked for. */
export function asked(registers: Registry[], name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(value());
    },
  });
}

/** What every dashboard has, and what grows where something leaks. prom-client's own set would wake the process a hundred times a second. */
export function processMetrics(registers: Registry[]): void {
  asked(registers, 'process_resident_memory_bytes', 'Resident memory of this process.', () =>
    process.memoryUsage.rss(),
  );
  asked(registers, 'process_open_fds', 'Files, sockets and pipes that this process has open.', openFiles);
  new Gauge({
    name: 'nodejs_active_resources',
    help: 'What keeps the process alive, by its kind: timers (`Timeout`), connections, children. None of them grows for long.',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset();
      for (const type of process.getActiveResourcesInfo()) this.inc({ type });
    },
  });
  let before = 0;
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time that this process has used.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const now = (user + system) / 1e6;
      this.inc(now - before);
      before = now;
    },
  });
}

/** Without the one that reads the list, proc_pid_fd(5). */
function openFiles(): number {
  return readdirSync('/proc/self/fd').length - 1;
}

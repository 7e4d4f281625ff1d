/** Writes to an etcd that etcdctl is too slow or too small for: thousands of them, and large ones. */
import { Etcd3 } from 'etcd3';

export interface EtcdWriter {
  put(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
  close(): void;
}

/** A connection of the test's own. */
export function openEtcdWriter(endpoint: string): EtcdWriter {
  const client = new Etcd3({ hosts: endpoint });
  return {
    put: async (key, value) => void (await client.put(key).value(value)),
    delete: async (key) => void (await client.delete().key(key)),
    close: () => client.close(),
  };
}

/** Puts large values until etcd says that its space is used up. @returns the keys. */
export async function fillUp(writer: EtcdWriter, prefix: string, most = 200): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let index = 0; index < most; index++) {
    const key = `${prefix}${index}`;
    try {
      await writer.put(key, 'x'.repeat(1_000_000));
      keys.push(key);
    } catch (error) {
      if (String(error).includes('database space exceeded')) return keys;
      throw error;
    }
  }
  throw new Error(`etcd still takes writes after ${most} MB`);
}

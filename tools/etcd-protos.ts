/** What the bundle does at build time with etcd's protocol definitions, which etcd3 would do at each start. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';

/** Puts etcd's protocol definitions, which etcd3 reads and parses at each start, into the bundle as data. */
export const inlineEtcdProtos: Plugin = {
  name: 'inline-etcd-protos',
  setup(context) {
    context.onLoad({ filter: /etcd3\/lib\/connection-pool\.js$/ }, async ({ path }) => {
      const loader = createRequire(path).resolve('@grpc/proto-loader');
      const protobuf = createRequire(loader)('protobufjs');
      const definitions = new protobuf.Root().loadSync(join(dirname(path), '../proto/rpc.proto'), { keepCase: true });
      const call = /\bproto_loader_1\.loadSync\)\(`\$\{__dirname\}\/\.\.\/proto\/rpc\.proto`/;
      const source = await readFile(path, 'utf8');
      if (!call.test(source)) throw new Error('etcd3 loads its protocol definitions in a way this build does not know');
      const json = JSON.stringify(definitions.toJSON());
      return { contents: source.replace(call, () => `proto_loader_1.fromJSON)(${json}`), loader: 'js' };
    });
  },
};

/** What is replaced in the loader of protocol definitions, and by what. */
const descriptorCode = [
  ['require("protobufjs/ext/descriptor")', '{}'],
  ["root.toDescriptor('proto3').file", '[]'],
  ["const messageDescriptor = message.toDescriptor('proto3');", ''],
  ['messageDescriptor.$type.toObject(messageDescriptor, descriptorOptions)', '{}'],
  ["const enumDescriptor = enumType.toDescriptor('proto3');", ''],
  ['enumDescriptor.$type.toObject(enumDescriptor, descriptorOptions)', '{}'],
] as const;

/**
 * The loader describes every message once more in protobuf's own terms, for servers that are asked what they speak. A client
 * never reads that, and it is a tenth of an agent's CPU time to subnet.env.
 */
export const dropProtoDescriptors: Plugin = {
  name: 'drop-proto-descriptors',
  setup(context) {
    context.onLoad({ filter: /@grpc\/proto-loader\/build\/src\/index\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const [code, instead] of descriptorCode) {
        if (!contents.includes(code)) throw new Error(`${path} describes messages in a way this build does not know`);
        contents = contents.replace(code, instead);
      }
      return { contents, loader: 'js' };
    });
  },
};

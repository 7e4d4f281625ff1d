/** ELF files of 64 bits and little endian, read by the ABI's own layout (elf(5)): the processor, and notes by their name. */

export interface ElfNote {
  readonly name: string;
  /** Where its content begins in the file. */
  readonly offset: number;
  readonly length: number;
}

export interface ElfFile {
  /** `e_machine`: 62 is x86-64, 183 is aarch64 (`linux/elf-em.h`). */
  readonly machine: number;
  /** Notes of the segments that are loaded with the program. */
  readonly notes: readonly ElfNote[];
}

const noteSegment = 4;

/** @throws Error for anything else. */
export function readElf(file: Buffer): ElfFile {
  const isElf64 = file.subarray(0, 6).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]));
  if (!isElf64) throw new Error('no ELF file of 64 bits, little endian');
  const tableOffset = Number(file.readBigUInt64LE(32));
  const entrySize = file.readUInt16LE(54);
  const notes = Array.from({ length: file.readUInt16LE(56) }, (_, index) => tableOffset + index * entrySize)
    .filter((at) => file.readUInt32LE(at) === noteSegment)
    .flatMap((at) => readNotes(file, Number(file.readBigUInt64LE(at + 8)), Number(file.readBigUInt64LE(at + 32))));
  return { machine: file.readUInt16LE(18), notes };
}

function readNotes(file: Buffer, start: number, size: number): readonly ElfNote[] {
  const notes: ElfNote[] = [];
  const aligned = (length: number): number => (length + 3) & ~3;
  for (let at = start; at + 12 <= start + size; ) {
    const [nameLength, length] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    const offset = at + 12 + aligned(nameLength);
    notes.push({ name: file.toString('latin1', at + 12, at + 12 + nameLength).replace(/\0$/, ''), offset, length });
    at = offset + aligned(length);
  }
  return notes;
}

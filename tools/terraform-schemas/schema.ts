/** Schemas in the form of `terraform providers schema -json`. */

export type AttributeType = 'string' | 'number' | 'bool' | 'dynamic' | readonly ['list' | 'set' | 'map', AttributeType];

export interface Attribute {
  readonly type: AttributeType;
  readonly required?: true;
  readonly optional?: true;
  readonly computed?: true;
}

export interface Block {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly block_types: Readonly<Record<string, NestedBlock>>;
}

export interface NestedBlock {
  readonly nesting_mode: 'single' | 'list' | 'set';
  readonly block: Block;
  readonly min_items?: number;
  readonly max_items?: number;
}

export interface Schema {
  readonly version: 0;
  readonly block: Block;
}

export interface Schemas {
  /** The provider's own configuration. */
  readonly own: Schema;
  readonly resourceSchemas: Readonly<Record<string, Schema>>;
  readonly dataSourceSchemas: Readonly<Record<string, Schema>>;
}

/** Whether a value may be left out is known; whether the provider then fills it in is not, and taken for so. */
export function attribute(type: AttributeType, required: boolean): Attribute {
  return required ? { type, required: true } : { type, optional: true, computed: true };
}

/** The members in the order of their names. */
export function sorted<T>(members: Iterable<readonly [string, T]>): Readonly<Record<string, T>> {
  return Object.fromEntries([...members].sort(([a], [b]) => (a < b ? -1 : 1)));
}

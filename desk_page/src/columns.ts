/* Columns that grow, one value at a time, in the form in which DuckDB takes them: Arrow's. */

import { Bool, type DataType, Field, Int32, Int64, makeData, RecordBatch, Schema, Struct, Table, Utf8 } from "apache-arrow";

const encoder = new TextEncoder();

/** Text as Arrow holds it. Made by hand: Arrow's own builder takes five times as long. */
export class TextColumn {
  #bytes = new Uint8Array(65_536);
  #used = 0;
  #ends = new Int32Array(4_096);
  #known = new Uint8Array(512); // a bit a value: whether it is there
  #length = 0;
  nulls = 0;

  push(value: string | null): void {
    const place = this.#length++;
    if (this.#length >= this.#ends.length) this.#ends = grown(this.#ends, new Int32Array(2 * this.#ends.length));
    if (place >> 3 >= this.#known.length) this.#known = grown(this.#known, new Uint8Array(2 * this.#known.length));
    if (value === null) this.nulls++;
    else {
      this.#known[place >> 3] = (this.#known[place >> 3] as number) | (1 << (place & 7));
      this.#write(value);
    }
    this.#ends[this.#length] = this.#used;
  }

  #write(value: string): void {
    const room = this.#used + 3 * value.length;
    if (room > this.#bytes.length) this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(room, 2 * this.#bytes.length)));
    const bytes = this.#bytes;
    const begin = this.#used;
    for (let at = 0; at < value.length; at++) {
      const unit = value.charCodeAt(at);
      if (unit > 127) {
        this.#used = begin + encoder.encodeInto(value, bytes.subarray(begin)).written;
        return;
      }
      bytes[begin + at] = unit;
    }
    this.#used = begin + value.length;
  }

  data() {
    return makeData({
      type: new Utf8(),
      length: this.#length,
      nullCount: this.nulls,
      nullBitmap: this.#known,
      valueOffsets: this.#ends.subarray(0, this.#length + 1),
      data: this.#bytes.subarray(0, this.#used),
    });
  }
}

/** Whole numbers of 32 bits, none of them absent. */
export class NumberColumn {
  #values = new Int32Array(4_096);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) this.#values = grown(this.#values, new Int32Array(2 * this.length));
    this.#values[this.length++] = value;
  }

  get values(): Int32Array {
    return this.#values.subarray(0, this.length);
  }

  data() {
    return makeData({ type: new Int32(), length: this.length, nullCount: 0, data: this.values });
  }
}

export function tableOf(columns: Record<string, { data(): ReturnType<typeof makeData> }>): Table {
  const children = Object.values(columns).map((column) => column.data());
  const fields = Object.keys(columns).map((name, place) => new Field(name, (children[place] as { type: DataType }).type, true));
  const schema = new Schema(fields);
  const length = children[0]?.length ?? 0;
  return new Table(schema, new RecordBatch(schema, makeData({ type: new Struct(fields), length, nullCount: 0, children })));
}

export type Fact = string | number | boolean | null;
export type FactType = "text" | "integer" | "boolean";

/** A table of one row. Made by hand too: Arrow's builder makes functions of text, which the page's policy forbids. */
export function rowOf(types: Record<string, FactType>, facts: Record<string, Fact>): Table {
  return tableOf(
    Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { data: () => one(type, facts[name] ?? null) }])),
  );
}

function one(type: FactType, value: Fact) {
  if (type === "text") return textOf([value as string | null]).data();
  const known = { length: 1, nullCount: value === null ? 1 : 0, nullBitmap: Uint8Array.of(value === null ? 0 : 1) };
  if (type === "boolean") return makeData({ type: new Bool(), ...known, data: Uint8Array.of(value ? 1 : 0) });
  return makeData({ type: new Int64(), ...known, data: BigInt64Array.of(BigInt((value as number | null) ?? 0)) });
}

export function textOf(values: (string | null)[]): TextColumn {
  const column = new TextColumn();
  for (const value of values) column.push(value);
  return column;
}

function grown<A extends Uint8Array | Int32Array>(old: A, more: A): A {
  more.set(old);
  return more;
}

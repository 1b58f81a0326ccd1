/* From physical lines to records: the twin of cpis_batch/intake/records.py, which tells why. */

import { NumberColumn, TextColumn } from "./columns";
import { HashTotal } from "./hash_total";
import { each, isBlank, isRefused, type Limits, type Refused, split } from "./lines";

/** The columns of the three record types, each beginning with `record_type`. */
export type Form = { header: string[]; detail: string[]; trailer: string[] };

/** The record that a file has one of: where one stands, and of the first its damage and its values without the type. */
export type Single = { lines: number[]; values: string[] | null; damage: string | null };

export type Rows = { line: NumberColumn; damage: TextColumn; details: Record<string, TextColumn> };

export type Records = {
  header: Single;
  trailer: Single;
  rows: Rows;
  hashTotal: number | null;
  others: number; // lines that begin with none of H, D, T
  firstLine: number;
  lastLine: number;
  headingLine: number | null;
  headingFits: boolean;
  blankLine: number | null;
  extraLine: number | null;
};

const FIELD = '(?:[^",\\r\\n]*|"(?:[^"\\r\\n]|"")*")';
const END = "\\r?\\n?$";
const PADDING = '(?:,(?: *|""))*';
const KIND = /^"?([HDT])"?[ \t]*(?:[,\r\n]|$)/;
const LINE_BREAK = /\r[^\n]/;
const BEFORE_DAMAGE = /^"?D"?,"?([^",\r\n]*)"?,"?([^",\r\n]*)"?,/;
const WELL_QUOTED = pattern(`${FIELD}(?:,${FIELD})*${END}`);
const VALUE = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))/gy;
const ODD = new Set(["TOO_FEW_FIELDS", "UNKNOWN_TYPE"]);

type Kind = keyof Form;
const KINDS: Record<string, Kind> = { H: "header", D: "detail", T: "trailer" };

export function read(data: Uint8Array, form: Form, limits: Limits): Records | Refused {
  const lines = split(data, limits);
  if (isRefused(lines)) return lines;
  const shapes = shapesOf(form);
  const names = form.detail.slice(1);
  const rows = emptyRows(names);
  const columns = names.map((name) => rows.details[name] as TextColumn);
  const good = pattern(`(?:D|"D")(?:,${FIELD}){${names.length}}${END}`);
  const found: Records = {
    header: { lines: [], values: null, damage: null },
    trailer: { lines: [], values: null, damage: null },
    rows, hashTotal: null, others: 0, firstLine: 0, lastLine: 0, headingLine: null, headingFits: true, blankLine: null, extraLine: null,
  };
  const hash = new HashTotal();
  const push = (line: number, damage: string | null, values: (string | null)[]) => {
    hash.add(values[0] ?? null);
    pushRow(rows, columns, line, damage, values);
  };
  let blank = 0; // the first blank line, which counts once a record follows
  let details = 0;
  let tooMany = 0;
  let firstTooMany = 0;
  let filled = 0;
  for (const { text, number } of each(lines)) {
    if (isBlank(text)) {
      blank ||= number;
      continue;
    }
    if (blank) found.blankLine ??= blank;
    if (filled++ === 0 && isHeading(text)) {
      found.headingLine = number;
      found.headingFits = headingFits(text, form);
      continue;
    }
    found.firstLine ||= number;
    found.lastLine = number;
    if (good.test(text)) {
      details++;
      push(number, null, valuesOf(text));
      continue;
    }
    const kind = KINDS[KIND.exec(text)?.[1] ?? ""] ?? null;
    const damage = damageOf(text, kind, shapes);
    if (kind === "header" || kind === "trailer") {
      keep(found[kind], number, text, damage, form[kind].length);
      continue;
    }
    if (kind === "detail") {
      details++;
      if (damage === "TOO_MANY_FIELDS") {
        tooMany++;
        firstTooMany ||= number;
      }
    } else found.others++;
    if (damage === null) push(number, null, valuesOf(text));
    else push(number, damage, beforeDamage(text, damage));
  }
  found.hashTotal = hash.total;
  if (2 * tooMany > details) found.extraLine = firstTooMany;
  return found;
}

function pattern(source: string): RegExp {
  return new RegExp(`^${source}`);
}

function emptyRows(names: string[]): Rows {
  const details = Object.fromEntries(names.map((name) => [name, new TextColumn()]));
  return { line: new NumberColumn(), damage: new TextColumn(), details };
}

function pushRow(rows: Rows, columns: TextColumn[], line: number, damage: string | null, values: (string | null)[]): void {
  rows.line.push(line);
  rows.damage.push(damage);
  for (let place = 0; place < columns.length; place++) (columns[place] as TextColumn).push(values[place] ?? null);
}

/** A heading names the detail's columns or, as `UNION ALL` makes it, those of the header, which is selected first. */
function isHeading(line: string): boolean {
  return /^(?:record_type,|"record_type")/.test(line.toLowerCase());
}

function headingFits(line: string, form: Form): boolean {
  const named = line.replace(/[, \r\n]+$/, "").split(",");
  const names = named.map((name) => name.replace(/^[ "]+|[ "]+$/g, "").toLowerCase()).join(",");
  return [form.detail, form.header].some((known) => known.join(",") === names);
}

type Shapes = Record<Kind, { few: RegExp; sound: RegExp }>;

function shapesOf(form: Form): Shapes {
  const of = ({ length }: string[]) => ({
    few: pattern(`${FIELD}(?:,${FIELD}){0,${length - 2}}${END}`),
    sound: pattern(`${FIELD}(?:,${FIELD}){${length - 1}}${PADDING}${END}`),
  });
  return { header: of(form.header), detail: of(form.detail), trailer: of(form.trailer) };
}

function damageOf(line: string, kind: Kind | null, shapes: Shapes): string | null {
  if (kind === null) return "UNKNOWN_TYPE";
  if (LINE_BREAK.test(line)) return "LINE_BREAK";
  if (!WELL_QUOTED.test(line)) return line.split('"').length % 2 === 0 ? "UNCLOSED_QUOTE" : "STRAY_QUOTE";
  if (shapes[kind].sound.test(line)) return null;
  return shapes[kind].few.test(line) ? "TOO_FEW_FIELDS" : "TOO_MANY_FIELDS";
}

function keep(single: Single, number: number, line: string, damage: string | null, width: number): void {
  single.lines.push(number);
  if (single.lines.length > 1) return;
  single.damage = damage;
  if (damage === null || damage.startsWith("TOO_")) single.values = valuesOf(line).slice(0, width - 1);
}

/** The values of a well-quoted line, its type left out. */
function valuesOf(line: string): string[] {
  const text = line.replace(/[\r\n]+$/, "");
  if (!text.includes('"')) return text.split(",").slice(1);
  return [...text.matchAll(VALUE)].slice(1).map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}

/** Of a damaged line the first two values where they can be read and stand in their places. */
function beforeDamage(line: string, damage: string): (string | null)[] {
  const found = ODD.has(damage) ? null : BEFORE_DAMAGE.exec(line);
  return found ? [found[1] ?? "", found[2] ?? ""] : [];
}

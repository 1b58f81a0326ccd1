/* Hold an extract to the rules: the twin of cpis_batch/intake/check.py, for one file. The rules themselves are its SQL. */

import { rowOf, tableOf } from "./columns";
import type { Engine, Row } from "./engine";
import { type Facts, factsOf, factsOfRefused } from "./facts";
import { type Records, read } from "./records";
import type { Rulebook, Severity } from "./rulebook";

/** `today`: the day in England, 2026-11-26. `laCode`: whose file it must be; by default, whoever the header names. */
export type Context = { today: string; laCode: string };

export type Fault = {
  line: number | null;
  childId: string | null;
  field: string | null;
  code: string;
  severity: Severity;
  detail: string | null;
};

export type Verdict = {
  outcome: string;
  rows: number;
  loads: number;
  faults: Fault[];
  outcomes: { line: number; outcome: string }[];
  header: { laCode: string; kind: string; sequence: number; environment: string } | null;
};

const UNREADABLE = "CPF01";
const ALL_LOADED = "CPF02";
const PARTIAL = "CPF03";
const NONE_LOADED = "CPF04";
const OLD_STYLE = "CPR04";
const LOADED = "CPR06";
const OTHER = "CPR07";
const TABLES = ["file", "read_rows", "rows", "found", "crowded"];
const FOUND = `CREATE TEMP TABLE found (
  line INTEGER, child_id VARCHAR, field VARCHAR, code VARCHAR, severity VARCHAR, detail VARCHAR
)`;
const DAY = /^\d{4}-\d\d-\d\d$/;

type Given = { today: string; environment: string };

/** Bad data is in the verdict, never an exception. */
export function check(engine: Engine, book: Rulebook, data: Uint8Array, context: Context): Verdict {
  if (!DAY.test(context.today)) throw new Error("the day must be given as 2026-11-26");
  try {
    const reading = read(data, book.form, { lineBytes: book.line_bytes, linesMax: book.lines_max });
    const records = "why" in reading ? null : reading;
    const facts = "why" in reading ? factsOfRefused(reading) : factsOf(reading, book.form);
    const laCode = context.laCode || String(facts["la_code"] ?? "");
    const given = { today: context.today, environment: facts["environment"] === "LIVE" ? "LIVE" : "TEST" };
    const ofFile = faultsOfFile(engine, book, facts, laCode, given);
    const refusedAs = refusal(book, ofFile);
    if (!records || !isForUs(book, facts, laCode, given)) {
      const outcome = refusedAs ?? UNREADABLE;
      return { outcome, rows: 0, loads: 0, faults: told(book, ofFile, refusedAs), outcomes: [], header: null };
    }
    return verdictOfRows(engine, book, records, facts, given, ofFile, refusedAs);
  } finally {
    engine.drop(...TABLES);
  }
}

function verdictOfRows(
  engine: Engine, book: Rulebook, records: Records, facts: Facts, given: Given, ofFile: Fault[], refusedAs: string | null,
): Verdict {
  const rows = records.rows.line.length;
  const ofRows = rows ? faultsOfRows(engine, book, records, given) : [];
  const rejected = new Set(ofRows.filter(({ severity }) => severity === "ERROR").map(({ line }) => line));
  const oldStyle = new Set(ofRows.filter(({ code }) => code === book.old_style).map(({ line }) => line));
  const outcomes = [...records.rows.line.values].map((line) => {
    const loads = !refusedAs && !rejected.has(line);
    return { line, outcome: oldStyle.has(line) ? OLD_STYLE : loads ? LOADED : OTHER };
  });
  const loads = refusedAs ? 0 : rows - rejected.size;
  const outcome = refusedAs ?? (loads === rows ? ALL_LOADED : loads ? PARTIAL : NONE_LOADED);
  return { outcome, rows, loads, faults: [...ofFile, ...ofRows], outcomes, header: headerOf(facts) };
}

function faultsOfFile(engine: Engine, book: Rulebook, facts: Facts, laCode: string, given: Given): Fault[] {
  engine.put("file", rowOf(book.facts, { ...facts, folder_la_code: laCode, place: 0 }));
  return engine.query(withValues(book, book.sql.file, given)).map(faultOf);
}

function faultsOfRows(engine: Engine, book: Rulebook, records: Records, given: Given): Fault[] {
  const { line, damage, details } = records.rows;
  engine.put("read_rows", tableOf({ line, damage, ...details }));
  engine.run(`CREATE TEMP TABLE rows AS ${withValues(book, book.sql.typed, given)}`);
  engine.drop("read_rows");
  const asked = book.sql.alone.flatMap((group) => group.given || []);
  const odd = engine.query(`SELECT ${asked.map((column) => `bool_or(${column}) AS ${column}`).join(", ")} FROM rows`)[0];
  engine.run(FOUND);
  for (const group of book.sql.alone) {
    if (!group.given || odd?.[group.given]) engine.run(`INSERT INTO found ${withValues(book, group.sql, given)}`);
  }
  engine.run(`CREATE TEMP TABLE crowded AS ${book.sql.crowded}`);
  engine.drop("rows");
  engine.run("ALTER TABLE crowded RENAME TO rows"); // which is what these rules call what they are given
  for (const group of book.sql.across) engine.run(`INSERT INTO found ${withValues(book, group.sql, given)}`);
  const marked = "SELECT * REPLACE ('.' || child_id AS child_id) FROM found ORDER BY line, code"; // see `faultOf`
  return engine.query(marked).map(faultOf);
}

/** What differs from check to check is written into the SQL: all of it is ours, and of a known shape. */
function withValues(book: Rulebook, sql: string, { today, environment }: Given): string {
  const values: Record<string, string> = {
    environment: `'${environment}'`,
    business_date: `DATE '${today}'`,
    supported: `[${book.supported.map((version) => `'${version}'`).join(", ")}]`,
    today_ymd: today.replaceAll("-", ""),
  };
  return sql.replace(/\$([a-z_]+)/g, (whole, name: string) => values[name] ?? whole);
}

function faultOf(row: Row): Fault {
  const text = (name: string) => row[name] as string | null;
  return {
    line: row["line"] === null ? null : Number(row["line"]),
    // Behind a mark, since Arrow takes a first U+FEFF for a byte order mark, and leaves it out.
    childId: text("child_id")?.slice(1) ?? null,
    field: text("field"),
    code: String(row["code"]),
    severity: row["severity"] as Severity,
    detail: text("detail"),
  };
}

function isForUs(book: Rulebook, facts: Facts, laCode: string, { environment }: Given): boolean {
  return (
    facts["format"] === book.format &&
    book.supported.includes(String(facts["version"])) &&
    facts["la_code"] === laCode &&
    facts["environment"] === environment
  );
}

function refusal(book: Rulebook, faults: Fault[]): string | null {
  const outcomes = new Set(faults.filter(({ severity }) => severity === "ERROR").map(({ code }) => outcomeOf(book, code)));
  return book.gravest.find((outcome) => outcomes.has(outcome)) ?? null;
}

/** Of a file by another sender or in another version only that is told, nothing of its content. */
function told(book: Rulebook, faults: Fault[], refusedAs: string | null): Fault[] {
  if (refusedAs === null || refusedAs === UNREADABLE) return faults;
  return faults.filter(({ code }) => outcomeOf(book, code) === refusedAs);
}

function outcomeOf(book: Rulebook, code: string): string | undefined {
  return book.rules.find((rule) => rule.code === code)?.outcome;
}

function headerOf(facts: Facts): Verdict["header"] {
  const { la_code: laCode, kind, sequence_number: sequence, environment, extracted_milliseconds: extracted } = facts;
  if (facts["header_damage"] || extracted === null || sequence === null || (kind !== "FULL" && kind !== "DELTA")) return null;
  return { laCode: String(laCode), kind, sequence: Number(sequence), environment: String(environment) };
}

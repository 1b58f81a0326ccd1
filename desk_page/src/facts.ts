/* What the rules of a file as a whole speak of: the twin of cpis_batch/intake/file_facts.py. */

import type { Fact } from "./columns";
import type { Refused } from "./lines";
import type { Form, Records, Single } from "./records";

export type Facts = Record<string, Fact>;

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):(\d\d))$/;
const FIRST_INSTANT = instantOf(1, 1, 1);
const LAST_INSTANT = instantOf(9999, 12, 31) + 86_400_000 - 1;

export function factsOfRefused({ why, line, byte }: Refused): Facts {
  return { unreadable: why, unreadable_line: line, unreadable_byte: byte };
}

export function factsOf(records: Records, form: Form): Facts {
  const facts: Facts = {
    first_line: records.firstLine,
    last_line: records.lastLine,
    heading_line: records.headingLine,
    heading_fits: records.headingFits,
    blank_line: records.blankLine,
    extra_line: records.extraLine,
    ...single("header", records.header, form.header),
    ...single("trailer", records.trailer, form.trailer),
    detail_lines: records.rows.line.length - records.others,
    other_lines: records.others,
    counted_hash: records.hashTotal,
  };
  facts["sequence_number"] = whole(facts["sequence"], /^0*[1-9][0-9]{0,7}$/);
  facts["declared_count"] = whole(facts["record_count"], /^[0-9]{1,9}$/);
  facts["declared_hash"] = whole(facts["hash_total"], /^[0-9]{1,10}$/);
  facts["extracted_milliseconds"] = instant(facts["extracted_at"]);
  return facts;
}

function single(which: string, { lines, values, damage }: Single, names: string[]): Facts {
  const told: Facts = {};
  names.slice(1).forEach((name, place) => {
    const value = values?.[place];
    if (value !== undefined) told[name] = value.replace(/^ +| +$/g, "");
  });
  told[`${which}_damage`] = damage;
  told[`${which}_line`] = lines[0] ?? null;
  told[`second_${which}_line`] = lines[1] ?? null;
  return told;
}

function whole(text: Fact | undefined, shape: RegExp): number | null {
  return typeof text === "string" && shape.test(text) ? Number(text) : null;
}

/** An instant in milliseconds since 1970; null where it is none that the calendar has, or one outside the years 1 to 9999. */
function instant(text: Fact | undefined): number | null {
  const found = typeof text === "string" ? INSTANT.exec(text) : null;
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const offset = (found[8] === "-" ? -1 : 1) * (60 * Number(found[9] ?? 0) + Number(found[10] ?? 0));
  if (year < 1 || hour > 23 || minute > 59 || second > 59 || Math.abs(offset) >= 24 * 60) return null;
  const midnight = instantOf(year, month, day);
  if (new Date(midnight).getUTCMonth() !== month - 1 || new Date(midnight).getUTCDate() !== day) return null;
  const fraction = Math.floor(Number(`0.${found[7] ?? 0}`) * 1000);
  const at = midnight + (hour * 3600 + minute * 60 + second - offset * 60) * 1000 + fraction;
  return at < FIRST_INSTANT || at > LAST_INSTANT ? null : at;
}

function instantOf(year: number, month: number, day: number): number {
  const made = new Date(0);
  made.setUTCFullYear(year, month - 1, day);
  return made.getTime();
}

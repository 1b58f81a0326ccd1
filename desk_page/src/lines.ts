/* From bytes to physical lines, or the one reason why that cannot be done: the twin of cpis_batch/intake/lines.py. */

export type Refused = { why: string; line: number | null; byte: number | null };

/** Line n stands from `starts[n - 1]` to `starts[n]`, its own line end included. Known to be UTF-8. */
export type Lines = { data: Uint8Array; starts: Int32Array };

export type Limits = { lineBytes: number; linesMax: number };

const LF = 10;
const CR = 13;
const BOM = [0xef, 0xbb, 0xbf];
// UTF-32 first: its little-endian mark begins with that of UTF-16.
const OTHER_MARKS = [[0xff, 0xfe, 0, 0], [0, 0, 0xfe, 0xff], [0xff, 0xfe], [0xfe, 0xff]];
const OTHER_SEPARATOR = /^"?(?:H|record_type)"?([;\t|])/;
const SEP_LINE = /^"?sep=/i;
const BLANK = /^[, \t\r\n]*$/;
const STEP = 65_536; // lines decoded at a time

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function isRefused(found: Lines | Refused): found is Refused {
  return "why" in found;
}

export function isBlank(line: string): boolean {
  return BLANK.test(line);
}

export function split(data: Uint8Array, limits: Limits): Lines | Refused {
  const counted = count(data);
  const refused = asAWhole(data, counted, limits);
  if (refused) return refused;
  const starts = startsOf(data, counted.feeds);
  const lines = { data, starts };
  const harm = lineByLine(lines, limits.lineBytes);
  if (harm) return harm;
  for (const { text, number } of each(lines)) {
    if (isBlank(text)) continue;
    const why = separator(text);
    return why ? { why, line: number, byte: null } : lines;
  }
  return { why: "EMPTY", line: null, byte: null };
}

/** Every line with its number, decoded many at a time: one by one would take ten times as long. */
export function* each({ data, starts }: Lines): Generator<{ text: string; number: number }> {
  const all = starts.length - 1;
  for (let first = 0; first < all; first += STEP) {
    const last = Math.min(first + STEP, all);
    const text = strict.decode(data.subarray(starts[first], starts[last]));
    for (let number = first + 1, at = 0; number <= last; number++) {
      const feed = text.indexOf("\n", at);
      const end = feed < 0 ? text.length : feed + 1;
      yield { text: text.slice(at, end), number };
      at = end;
    }
  }
}

type Counted = { feeds: number; loneReturns: number; white: boolean };

function count(data: Uint8Array): Counted {
  let feeds = 0;
  let loneReturns = 0;
  let white = true;
  for (let at = 0; at < data.length; at++) {
    const byte = data[at] as number;
    if (byte === LF) feeds++;
    else if (byte === CR && data[at + 1] !== LF) loneReturns++;
    if (white && byte !== 32 && (byte < 9 || byte > 13)) white = false;
  }
  return { feeds, loneReturns, white };
}

function asAWhole(data: Uint8Array, { feeds, loneReturns, white }: Counted, { linesMax }: Limits): Refused | null {
  if (white) return { why: "EMPTY", line: null, byte: null };
  if (OTHER_MARKS.some((mark) => mark.every((byte, at) => data[at] === byte)) || everyOtherNul(data)) {
    return { why: "UTF_16", line: 1, byte: 0 };
  }
  const nul = data.indexOf(0);
  if (nul >= 0) return { why: "NUL", line: count(data.subarray(0, nul)).feeds + 1, byte: nul };
  if (feeds > linesMax) return { why: "TOO_MANY_LINES", line: null, byte: null };
  if (2 * loneReturns > feeds) return { why: "CR_LINE_ENDS", line: 1, byte: data.indexOf(CR) };
  return null;
}

/** Whether it looks like UTF-16 or UTF-32 without a mark: in ASCII text every other byte is then NUL. */
function everyOtherNul(data: Uint8Array): boolean {
  const head = data.subarray(0, 64);
  const any = (place: number) => head.some((byte, at) => at % 2 === place && byte !== 0);
  return head.length >= 4 && ((!any(0) && any(1)) || (!any(1) && any(0)));
}

function startsOf(data: Uint8Array, feeds: number): Int32Array {
  const closed = data[data.length - 1] === LF;
  const starts = new Int32Array(feeds + (closed ? 1 : 2));
  starts[0] = BOM.every((byte, at) => data[at] === byte) ? BOM.length : 0;
  let line = 1;
  for (let feed = data.indexOf(LF); feed >= 0; feed = data.indexOf(LF, feed + 1)) starts[line++] = feed + 1;
  if (!closed) starts[line] = data.length;
  return starts;
}

function lineByLine({ data, starts }: Lines, lineBytes: number): Refused | null {
  for (let line = 1; line < starts.length; line++) {
    const begin = starts[line - 1] as number;
    if ((starts[line] as number) - begin > lineBytes) return { why: "LINE_TOO_LONG", line, byte: begin };
  }
  try {
    for (const { number } of each({ data, starts })) if (number < 0) break;
    return null;
  } catch {
    return notUtf8(data, starts);
  }
}

function notUtf8(data: Uint8Array, starts: Int32Array): Refused {
  let byte = -1;
  let mixed = false;
  for (let at = 0; at < data.length && (byte < 0 || !mixed); ) {
    const length = sequenceAt(data, at);
    if (length === 0 && byte < 0 && at >= (starts[0] as number)) byte = at;
    if (length > 1) mixed = true;
    at += length || 1; // what follows a broken beginning begins no character either, so that to step by one is enough
  }
  const line = starts.findIndex((start) => start > byte);
  return { why: mixed ? "MIXED_ENCODINGS" : "NOT_UTF_8", line: line < 0 ? starts.length : line, byte };
}

/** The length in bytes of the character of UTF-8 that stands at `at`; 0 where none does. */
function sequenceAt(data: Uint8Array, at: number): number {
  const lead = data[at] as number;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const second = data[at + 1] ?? 0;
  if (lead === 0xe0 && second < 0xa0) return 0; // written longer than it need be
  if (lead === 0xed && second > 0x9f) return 0; // half of a pair of UTF-16
  if (lead === 0xf0 && second < 0x90) return 0;
  if (lead === 0xf4 && second > 0x8f) return 0;
  for (let next = at + 1; next < at + length; next++) if (((data[next] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

function separator(line: string): string | null {
  if (SEP_LINE.test(line)) return "SEP_LINE";
  const found = OTHER_SEPARATOR.exec(line)?.[1];
  if (!found) return null;
  return found === ";" ? "SEMICOLONS" : found === "\t" ? "TABS" : "OTHER_SEPARATOR";
}

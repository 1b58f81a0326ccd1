/* The hash total of a trailer, as the rows themselves have it. */

const MODULUS = 10n ** 10n;

/** The sum of the NHS numbers of details, right or wrong; unknown once a damaged line hides its number. */
export class HashTotal {
  #sum = 0n;
  #known = true;

  add(number: string | null): void {
    if (number === null) this.#known = false;
    else {
      const digits = number.replaceAll(" ", "").replaceAll("-", "");
      if (/^[0-9]{1,18}$/.test(digits)) this.#sum += BigInt(digits);
    }
  }

  get total(): number | null {
    return this.#known ? Number(this.#sum % MODULUS) : null;
  }
}

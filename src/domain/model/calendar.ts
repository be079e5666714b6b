/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;

/**
 * Gives the first millisecond of a day in UTC, counted from 1970.
 *
 * @param day As `2026-03-13`.
 * @see Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years begin with March, so that a leap day is the last.
 */
export function dayStart(day: string): number {
  const [year = 0, month = 0, date = 0] = day.split('-').map(Number);
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + date - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return (era * 146_097 + dayOfEra - 719_468) * DAY_MS;
}

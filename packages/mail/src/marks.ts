/**
 * True when the text has more than `countMax` of these characters. A parser takes its time for each tag and each bracket, however
 * few bytes they have; looking for them is native, and ends at the bound.
 */
export function hasMoreMarks(text: string, marks: string, countMax: number): boolean {
  let count = 0;
  for (const mark of marks)
    for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, at + 1))
      if (++count > countMax) return true;
  return false;
}

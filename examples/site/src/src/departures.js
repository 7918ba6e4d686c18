// Which timetable that is, vite.config.js says.
export { default as departures } from "timetable";

/** The sentence about the first departure of the day. */
export function next(list) {
  const [first] = list;
  return `First departure: ${first.at} to ${first.to}, by the ${first.ferry}`;
}

/** A table of departures. */
export function table(departures) {
  const element = document.createElement("table");
  for (const { at, to, ferry } of departures) {
    const row = element.insertRow();
    for (const text of [at, to, ferry]) {
      row.insertCell().textContent = text;
    }
  }
  return element;
}

import "./style.css";
import "accent";
import mark from "./mark.svg";
import { departures, next } from "./departures.js";

document.querySelector("#mark").src = mark;
document.querySelector("#version").textContent = __SITE_VERSION__;
document.querySelector("#next").textContent = next(departures);
document.querySelector("#more").addEventListener("click", async () => {
  // Loaded when it is asked for: a chunk that a visitor may want long after the page.
  const { table } = await import("./table.js");
  document.querySelector("#table").replaceChildren(table(departures));
});

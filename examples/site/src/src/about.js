import "./style.css";
import "accent";
import { departures } from "./departures.js";

document.querySelector("#count").textContent = `${departures.length} departures a day.`;

import{d as e}from"./timetable-2-o14U41ej.js";document.querySelector("#count").textContent=`${e.length} departures a day.`;
//# sourceMappingURL=about-g85bbYcS.js.map

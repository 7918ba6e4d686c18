import{d as e}from"./timetable-1-B_Ki7h9m.js";document.querySelector("#count").textContent=`${e.length} departures a day.`;
//# sourceMappingURL=about-Boz4yHtd.js.map

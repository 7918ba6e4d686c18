const { label, api } = document.body.dataset;
document.querySelector("#version").textContent = VERSION;
document.querySelector("#api").textContent = api;
document.body.classList.add("ready");
console.info(`harbour ${VERSION} on ${label}`);

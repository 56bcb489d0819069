"use strict";
// Points tell what they are, legends hide their series, headings sort their tables. Without this
// script the page shows the same figures.
const tip = document.getElementById("tip");
function show(mark, x, y) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + box.height + 24 > innerHeight ? y - box.height - 10 : y + 14) + "px";
}
for (const mark of document.querySelectorAll(".tipped")) {
  const title = mark.querySelector("title");  // what a browser shows without this script
  mark.dataset.tip = title.textContent;
  title.remove();
  mark.setAttribute("tabindex", "0");
  mark.addEventListener("mousemove", (event) => show(mark, event.clientX, event.clientY));
  mark.addEventListener("mouseleave", () => { tip.hidden = true; });
  mark.addEventListener("focus", () => {
    const box = mark.getBoundingClientRect();
    show(mark, box.right, box.top);
  });
  mark.addEventListener("blur", () => { tip.hidden = true; });
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
for (const name of document.querySelectorAll("svg.plot [data-legend]")) {
  const series = `[data-series="${name.dataset.legend}"]`;
  name.classList.add("legend");
  name.setAttribute("tabindex", "0");
  name.setAttribute("role", "button");
  const toggle = () => {
    const off = name.classList.toggle("off");
    for (const shape of name.closest("svg").querySelectorAll(series)) shape.classList.toggle("hidden", off);
  };
  name.addEventListener("click", toggle);
  name.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
}
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    button.title = "sort";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => {
        const a = value(one), b = value(other);
        const order = a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

"use strict";
// A click on the head of a column sorts its table by it, a second one the other way round.
for (const head of document.querySelectorAll("th[data-sort]")) {
  head.tabIndex = 0;
  const sort = () => {
    const table = head.closest("table"), body = table.tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const at = [...head.parentNode.children].indexOf(head);
    const key = (row) => {
      const cell = row.cells[at];
      return cell.dataset.value === undefined ? cell.textContent : cell.dataset.value === "" ? Infinity : +cell.dataset.value;
    };
    const rows = [...body.rows].map((row, i) => [key(row), i, row]);
    rows.sort(([a, i], [b, j]) => {
      const order = typeof a === "number" ? (a === b ? 0 : a - b) : a.localeCompare(b, "en", { numeric: true });
      return (up ? order : -order) || i - j;
    });
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows.map(([, , row]) => row));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
  });
}

// The page's own script: tables that sort and filter, and cells that show their images.
// Names of models reach the page as text nodes only.

const data = JSON.parse(document.getElementById("data").textContent);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---- tables

const collator = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
}

function sortBy(table, heading) {
  const column = [...heading.parentNode.children].indexOf(heading);
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: row.cells[column].dataset.key }));
  rows.sort((a, b) => {
    if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "");
    return ascending ? compare(a.key, b.key) : compare(b.key, a.key);
  });
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...rows.map(({ row }) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sortBy(table, button.parentNode);
  });
}

const filter = document.getElementById("filter");
const results = document.getElementById("results-table");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...results.tBodies[0].rows];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("filtered").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
});

// ---- the images behind a cell of a confusion matrix

const labelErrors = new Set(data.label_errors);

function pictureOf(image, description) {
  const where = data.place[image];
  const shown = element("span", { class: "picture", role: "img", "aria-label": description });
  if (where === undefined) {
    shown.classList.add("none");
    shown.textContent = "no picture";
  } else {
    shown.style.setProperty("--x", where % data.columns);
    shown.style.setProperty("--y", Math.floor(where / data.columns));
  }
  return shown;
}

function percent(share) {
  return share > 0.99 ? `${Math.floor(1000 * share) / 10} %` : `${Math.round(100 * share)} %`;
}

function showCell(button) {
  const table = button.closest("table");
  const place = button.closest(".model").querySelector(".behind");
  const [actual, predicted] = button.dataset.cell.split("/");
  const behind = data.mistakes[table.dataset.model]?.[button.dataset.cell] ?? [];
  for (const other of table.querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", "true");
  const count = Number(button.textContent);
  const mistakes = behind.reduce((sum, [, , fits]) => sum + fits, 0);
  let heading = `True ${data.names[actual]}, predicted ${data.names[predicted]}: ${count === 1 ? "once" : `${count} times`}`;
  if (!behind.length) heading += "; which images is unknown";
  else if (mistakes < count) heading += `; ${behind.length} images shown`;
  else if (mistakes > behind.length) heading += `, on ${behind.length === 1 ? "one image" : `${behind.length} images`}`;
  const list = element("ul", { class: "pictures" });
  for (const [image, confidence, fits] of behind) {
    const sure = confidence === null ? "" : `${percent(confidence)} sure`;
    const item = element("li", {}, pictureOf(image, `Image ${image}, ${sure}`));
    item.append(element("span", {}, `no. ${image}`));
    if (sure) item.append(element("span", {}, sure));
    if (fits > 1) item.append(element("span", {}, `${fits} seeds`));
    if (labelErrors.has(image)) item.append(element("span", { class: "known" }, "label error"));
    list.append(item);
  }
  place.replaceChildren(element("p", {}, heading), list);
  place.scrollTop = 0;
}

document.getElementById("models")?.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-cell]");
  if (button) showCell(button);
});

document.documentElement.dataset.ready = "true";

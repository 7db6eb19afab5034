// The page's own script: tables that sort and filter, cells that show their images, and two charts.
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
  let heading = `True ${actual}, taken for ${predicted}: ${count === 1 ? "once" : `${count} times`}`;
  if (!behind.length) heading += "; which images is not known";
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

// ---- charts; their colours are the page's, so that they follow light and dark

const seconds =
  "datum.value >= 3600 ? format(datum.value / 3600, '~g') + ' h' : " +
  "datum.value >= 60 ? format(datum.value / 60, '~g') + ' min' : " +
  "format(datum.value, '~g') + ' s'";
const ladder = [
  0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600,
  1200, 1800, 3600, 7200, 18000, 36000, 86400, 172800, 604800,
];
const axisStyle = {
  domain: false,
  ticks: false,
  grid: true,
  gridColor: "var(--rule)",
  labelColor: "var(--muted)",
  titleColor: "var(--muted)",
  labelFontSize: 12,
  titleFontSize: 12,
  titleFontWeight: "normal",
  labelPadding: 6,
  titlePadding: 8,
  labelOverlap: "greedy",
  labelSeparation: 8,
};
const font = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";
const config = { font, axis: { labelFont: font, titleFont: font } };
const options = {
  mode: "vega",
  renderer: "svg",
  actions: false,
  defaultStyle: false,
  ast: true, // interprets expressions: the page's policy forbids to make code of text
  config,
};

function within(values, low, high) {
  return values.filter((value) => value >= low && value <= high);
}

// Round errors; where models lie so close that hardly one is in sight, all those with a single digit.
function accuracyTicks(floor) {
  const errors = (digits) => [0, 1, 2, 3, 4, 5, 6].flatMap((e) => digits.map((digit) => digit / 10 ** (e + 1)));
  const round = [0.9, 0.8, ...errors([5, 2, 1])];
  const least = data.points.reduce((low, point) => Math.min(low, 1 - point.high), 1);
  const most = data.points.reduce((high, point) => Math.max(high, 1 - point.low), 0);
  const shown = within(round, Math.max(least, floor), Math.max(most, floor));
  return shown.length < 3 ? errors([9, 8, 7, 6, 5, 4, 3, 2, 1]) : round;
}

function paretoSpec(width, height) {
  const floor = 0.5 / Math.max(data.images, 1); // no error is drawn as half an error: a logarithm has no zero
  const onFront = "datum['front_' + cost]";
  const colour = [{ test: onFront, value: "var(--blue)" }, { value: "var(--muted)" }];
  return {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    description: "Accuracy against time, one point a model. The numbers are in the table of results.",
    width,
    height,
    padding: 4,
    autosize: { type: "fit", contains: "padding" },
    signals: [
      { name: "cost", value: "fit_seconds" },
      { name: "slow", update: "extent(pluck(data('points'), 'seconds'))" },
      { name: "errors", update: "[extent(pluck(data('points'), 'least'))[0], extent(pluck(data('points'), 'most'))[1]]" },
    ],
    data: [
      {
        name: "points",
        values: data.points,
        transform: [
          { type: "formula", as: "seconds", expr: "max(datum[cost], 1e-6)" },
          { type: "formula", as: "error", expr: `max(1 - datum.accuracy, ${floor})` },
          { type: "formula", as: "least", expr: `max(1 - datum.high, ${floor})` },
          { type: "formula", as: "most", expr: `max(1 - datum.low, ${floor})` },
        ],
      },
      {
        name: "front",
        source: "points",
        transform: [
          { type: "filter", expr: onFront },
          { type: "collect", sort: { field: "seconds" } },
        ],
      },
    ],
    scales: [
      {
        name: "x",
        type: "log",
        domain: { signal: "[slow[0] / 1.6, slow[1] * 1.9]" },
        range: "width",
      },
      {
        name: "y",
        type: "log",
        reverse: true,
        domain: { signal: "[errors[0] / 1.12, min(1, errors[1] * 1.12)]" },
        range: "height",
      },
    ],
    axes: [
      {
        ...axisStyle,
        orient: "bottom",
        scale: "x",
        title: { signal: "cost == 'fit_seconds' ? 'training time' : 'prediction time'" },
        values: ladder,
        encode: { labels: { update: { text: { signal: seconds } } } },
      },
      {
        ...axisStyle,
        orient: "left",
        scale: "y",
        title: "accuracy, %",
        titleAngle: 0,
        titleAlign: "left",
        titleAnchor: "end",
        titleX: -44,
        titleY: -8,
        values: accuracyTicks(floor),
        encode: { labels: { update: { text: { signal: "format(100 * (1 - datum.value), '.6~g')" } } } },
      },
    ],
    marks: [
      {
        type: "line",
        name: "front-line",
        from: { data: "front" },
        clip: true,
        encode: {
          update: {
            x: { scale: "x", field: "seconds" },
            y: { scale: "y", field: "error" },
            interpolate: { value: "step-after" },
            stroke: { value: "var(--blue)" },
            strokeWidth: { value: 1.5 },
          },
        },
        aria: false,
      },
      {
        type: "rule",
        name: "intervals",
        from: { data: "points" },
        clip: true,
        aria: false,
        encode: {
          update: {
            x: { scale: "x", field: "seconds" },
            y: { scale: "y", field: "least" },
            y2: { scale: "y", field: "most" },
            stroke: colour,
            strokeOpacity: { value: 0.6 },
          },
        },
      },
      {
        type: "symbol",
        name: "models",
        from: { data: "points" },
        encode: {
          enter: {
            description: { signal: "datum.label + ', ' + datum.shown_accuracy + ' right, training ' + datum.shown_fit_seconds" },
          },
          update: {
            x: { scale: "x", field: "seconds" },
            y: { scale: "y", field: "error" },
            size: { value: 80 },
            fill: [{ test: onFront, value: "var(--blue)" }, { value: "var(--paper)" }],
            stroke: colour,
            strokeWidth: { value: 1.5 },
            cursor: { value: "pointer" },
            tooltip: {
              signal:
                "{title: datum.label, right: datum.shown_accuracy, wrong: datum.shown_errors, " +
                "training: datum.shown_fit_seconds, predicting: datum.shown_predict_seconds}",
            },
          },
          hover: { size: { value: 150 } },
        },
      },
      {
        type: "text",
        name: "labels",
        from: { data: "models" },
        interactive: false,
        aria: false,
        encode: {
          enter: {
            text: { field: "datum.label" },
            fontSize: { value: 13 },
            fill: { value: "var(--ink)" },
          },
        },
        transform: [
          {
            type: "label",
            size: { signal: "[width, height]" },
            anchor: ["right", "top-right", "bottom-right", "left", "top-left", "bottom-left", "top", "bottom"],
            offset: [4],
            avoidMarks: ["intervals", "front-line"],
            avoidBaseMark: true,
          },
        ],
      },
    ],
  };
}

function stripsSpec(width, height) {
  return {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    description: "Every timing of each model, one dot a trial. Median and range are in the table below.",
    width,
    height,
    padding: 4,
    autosize: { type: "fit", contains: "padding" },
    signals: [{ name: "cost", value: "fit_seconds" }],
    data: [
      {
        name: "timings",
        values: data.timings,
        transform: [{ type: "formula", as: "seconds", expr: "max(datum[cost], 1e-6)" }],
      },
      {
        name: "medians",
        source: "timings",
        transform: [{ type: "aggregate", groupby: ["label"], fields: ["seconds"], ops: ["median"], as: ["median"] }],
      },
    ],
    scales: [
      { name: "x", type: "log", domain: { data: "timings", field: "seconds" }, range: "width", nice: false, padding: 20 },
      { name: "y", type: "band", domain: { data: "timings", field: "label" }, range: "height" },
    ],
    axes: [
      {
        ...axisStyle,
        orient: "bottom",
        scale: "x",
        values: ladder,
        encode: { labels: { update: { text: { signal: seconds } } } },
      },
      { ...axisStyle, orient: "left", scale: "y", grid: false, labelColor: "var(--ink)", labelLimit: 160, labelFontSize: 13 },
    ],
    marks: [
      {
        type: "rule",
        aria: false,
        from: { data: "medians" },
        encode: {
          update: {
            x: { scale: "x", field: "median" },
            y: { scale: "y", field: "label", band: 0.15 },
            y2: { scale: "y", field: "label", band: 0.85 },
            stroke: { value: "var(--ink)" },
            strokeWidth: { value: 1.5 },
          },
        },
      },
      {
        type: "symbol",
        name: "dots",
        from: { data: "timings" },
        encode: {
          enter: {
            description: { signal: "datum.label + ', seed ' + datum.seed + ': training ' + datum.shown_fit_seconds" },
          },
          update: {
            x: { scale: "x", field: "seconds" },
            y: { scale: "y", field: "label", band: 0.5 },
            size: { value: 60 },
            fill: { value: "var(--blue)" },
            fillOpacity: { value: 0.55 },
            tooltip: {
              signal:
                "{title: datum.label, seed: datum.seed, repetition: datum.repeat, " +
                "training: datum.shown_fit_seconds, predicting: datum.shown_predict_seconds}",
            },
          },
        },
      },
    ],
  };
}

async function chart(box, makeSpec, radios) {
  const holder = element("div", { class: "drawing" });
  const size = () => [box.clientWidth, box.clientHeight];
  box.append(holder);
  const { view } = await window.vegaEmbed(holder, makeSpec(...size()), options);
  box.querySelector(".still")?.remove();
  new ResizeObserver(() => {
    const [width, height] = size();
    view.width(width).height(height).runAsync();
  }).observe(box);
  for (const radio of document.querySelectorAll(`input[name=${radios}]`)) {
    radio.addEventListener("change", () => view.signal("cost", radio.value).runAsync());
    if (radio.checked) await view.signal("cost", radio.value).runAsync(); // a reload keeps what was chosen
  }
  return view;
}

// One stop for the tab key; the arrow keys move along the points, from the fastest to the slowest.
function readByKeyboard(box, view, reading) {
  const points = () =>
    [...box.querySelectorAll(".mark-symbol.models path")].sort(
      (a, b) => a.__data__.datum.seconds - b.__data__.datum.seconds,
    );
  const tell = (point) => {
    reading.textContent =
      `${point.label}: ${point.shown_accuracy} right (${point.shown_errors} wrong), ` +
      `training ${point.shown_fit_seconds}, predicting ${point.shown_predict_seconds}.`;
  };
  const mark = (current) =>
    points().forEach((path, index) => path.setAttribute("tabindex", index === current ? "0" : "-1"));
  mark(0);
  view.addSignalListener("cost", () => view.runAfter(() => mark(0))); // another time, another order
  box.addEventListener("focusin", (event) => {
    const datum = event.target.__data__?.datum;
    if (datum?.shown_accuracy) tell(datum);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = points();
    const next = Math.min(Math.max(all.indexOf(event.target) + step, 0), all.length - 1);
    mark(next);
    all[next].focus();
  });
  view.addEventListener("mouseover", (event, item) => {
    if (item?.datum?.shown_accuracy) tell(item.datum);
  });
}

const pareto = document.getElementById("pareto");
if (pareto && window.vegaEmbed) {
  const view = await chart(pareto, paretoSpec, "cost");
  readByKeyboard(pareto, view, document.getElementById("pareto-reading"));
}
const strips = document.getElementById("strips");
if (strips && window.vegaEmbed) await chart(strips, stripsSpec, "timed");
document.documentElement.dataset.ready = "true";

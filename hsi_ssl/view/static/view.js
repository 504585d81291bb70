// The page of `hsi-ssl view`: layers of tiles that are coloured here, a legend that switches
// classes, and what a click on a pixel tells. Addresses are relative, below the token.
"use strict";

const TILE = 256;
const LARGEST = 65535;
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const OTHER = "#8a8f98"; // free slots, codes without a name
const LEAST_SHOWN = 0.005; // of a probability
const MEASURES = { confidence: "Confidence", entropy: "Entropy (nats)", novelty: "Novelty (nats)", p_value: "p-value" };

const $ = (id) => document.getElementById(id);
const state = { view: null, number: 0, scene: null, map: null, layers: {}, hidden: new Set(), picked: null, chosen: null, marks: null };

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function swatch(colour) {
  const made = make("span", { className: "swatch" });
  made.style.background = colour;
  return made;
}

function tell(sentence) {
  $("message").hidden = !sentence;
  $("message").textContent = sentence || "";
}

async function ask(address) {
  const answer = await fetch(address);
  const values = await answer.json();
  if (!answer.ok) throw new Error(values.error || answer.statusText);
  return values;
}

const count = (n) => n.toLocaleString("en");
const classOf = (code) => state.view.classes.find((c) => c.code === code);
const nameOf = (code) => (code ? classOf(code)?.name || `class ${code}` : "not classified");
const colourOf = (code) => classOf(code)?.colour || OTHER;
const rgba = (colour) => (0xff000000 | (parseInt(colour.slice(5, 7), 16) << 16) | (parseInt(colour.slice(3, 5), 16) << 8) | parseInt(colour.slice(1, 3), 16)) >>> 0;

// ---- layers ---------------------------------------------------------------------------------

// Tiles come as numbers; `paint` turns them into colours, again whenever these change.
const Numbers = L.GridLayer.extend({
  initialize(address, paint, options) {
    L.GridLayer.prototype.initialize.call(this, options);
    this.address = address;
    this.paint = paint;
    this.on("tileunload", ({ tile }) => tile.stop?.abort());
  },
  createTile(coords, done) {
    const tile = make("canvas", { width: TILE, height: TILE });
    tile.coords = coords;
    this.load(tile).then(() => done(null, tile), (error) => done(error, tile));
    return tile;
  },
  async load(tile) {
    tile.stop?.abort();
    tile.stop = new AbortController();
    const { z, x, y } = tile.coords;
    try {
      const answer = await fetch(this.address(z, x, y), { signal: tile.stop.signal });
      if (!answer.ok) throw new Error((await answer.json()).error);
      tile.numbers = await answer.arrayBuffer();
      this.draw(tile);
    } catch (error) {
      if (error.name !== "AbortError") { tell(error.message); throw error; }
    }
  },
  draw(tile) {
    const image = new ImageData(TILE, TILE);
    this.paint(tile.numbers, new Uint32Array(image.data.buffer));
    tile.getContext("2d").putImageData(image, 0, 0);
  },
  tiles() { return Object.values(this._tiles || {}).map((one) => one.el); },
  repaint() { this.tiles().filter((tile) => tile.numbers).forEach((tile) => this.draw(tile)); },
  reload() { this.tiles().forEach((tile) => this.load(tile).catch(() => {})); },
});

const asTheyAre = (numbers, pixels) => pixels.set(new Uint32Array(numbers));

function byTable(table) {
  return (numbers, pixels) => {
    const codes = new Uint16Array(numbers);
    for (let i = 0; i < codes.length; i++) pixels[i] = table[codes[i]];
  };
}

const classTable = new Uint32Array(LARGEST + 1);
function fillClassTable() {
  classTable.fill(rgba(OTHER));
  classTable[0] = 0;
  for (const c of state.view.classes) classTable[c.code] = state.hidden.has(c.code) ? 0 : rgba(c.colour);
}

const rampTable = new Uint32Array(LARGEST + 1);
for (let i = 1; i <= LARGEST; i++) {
  const place = ((i - 1) / (LARGEST - 1)) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(place), VIRIDIS.length - 2), share = place - k;
  const part = (from) => Math.round((1 - share) * parseInt(VIRIDIS[k].slice(from, from + 2), 16) + share * parseInt(VIRIDIS[k + 1].slice(from, from + 2), 16));
  rampTable[i] = (0xff000000 | (part(5) << 16) | (part(3) << 8) | part(1)) >>> 0;
}

function addLayer(id, title, paint, { numbers = () => [], opacity = 1, on = true, more = [] } = {}) {
  const { scene, number } = state;
  const order = Object.keys(state.layers).length;
  const layer = new Numbers(
    (z, x, y) => `scenes/${number}/${id}/${z}/${x}/${y}?n=${numbers().join(",")}`,
    paint,
    { bounds: [[0, 0], [scene.rows, scene.cols]], maxNativeZoom: scene.depth, maxZoom: scene.depth + 7, opacity, zIndex: order + 1, keepBuffer: 1, className: `layer-${id}` },
  );
  const shown = make("input", { type: "checkbox", checked: on, id: `show-${id}` });
  const fade = make("input", { type: "range", min: 0, max: 100, value: 100 * opacity, id: `fade-${id}`, ariaLabel: `opacity of ${title}` });
  shown.addEventListener("change", () => (shown.checked ? layer.addTo(state.map) : layer.remove()));
  fade.addEventListener("input", () => layer.setOpacity(fade.value / 100));
  const row = make("div", { className: "layer" }, make("label", {}, shown, title), fade);
  if (more.length) row.append(make("div", { className: "more" }, ...more));
  $("layers").prepend(row);
  state.layers[id] = layer;
  if (on) layer.addTo(state.map);
  return layer;
}

function sceneLayer() {
  const { bands, composite } = state.scene;
  const known = (band) => bands.find((b) => b.band === band);
  const word = (b) => (b.nm === null ? `band ${b.band + 1}` : `${Math.round(b.nm)} nm`);
  const colours = make("option", { value: "rgb", textContent: "three bands" });
  colours.title = composite.map((b) => word(known(b))).join(", ");
  const kind = make("select", { id: "picture", ariaLabel: "picture" }, colours, make("option", { value: "band", textContent: "one band" }));
  const which = make("input", { type: "range", id: "band", min: 0, max: bands.length - 1, value: bands.findIndex((b) => b.band === composite[0]), hidden: true, ariaLabel: "band" });
  const told = make("output", {});
  const one = () => bands[which.value];
  const say = () => { told.textContent = which.hidden ? composite.map((b) => (known(b).nm === null ? b + 1 : Math.round(known(b).nm))).join(" · ") + (bands[0].nm === null ? "" : " nm") : word(one()); };
  const layer = addLayer("scene", "Scene", asTheyAre, { numbers: () => (which.hidden ? composite : [one().band]), more: [kind, which, told] });
  let soon = 0;
  kind.addEventListener("change", () => { which.hidden = kind.value === "rgb"; say(); layer.reload(); });
  which.addEventListener("input", () => { say(); clearTimeout(soon); soon = setTimeout(() => layer.reload(), 60); });
  say();
}

function labelsLayer() {
  const boxes = Object.entries(state.scene.labels).map(([part, pixels]) => {
    const box = make("input", { type: "checkbox", checked: true, value: part, id: `part-${part}` });
    return [box, make("label", { title: `${count(pixels)} pixels` }, box, `${state.view.parts[part]} ${count(pixels)}`)];
  });
  const numbers = () => boxes.filter(([box]) => box.checked).map(([box]) => box.value);
  const layer = addLayer("labels", "Labels", byTable(classTable), { numbers, on: !state.scene.map, more: boxes.map(([, label]) => label) });
  boxes.forEach(([box]) => box.addEventListener("change", () => layer.reload()));
}

function measureLayer({ name, limits }) {
  const digits = (v) => Number(v.toPrecision(3)).toString();
  const more = [digits(limits[0]), make("span", { className: "ramp" }), digits(limits[1])];
  addLayer(name, MEASURES[name], byTable(rampTable), { on: false, more });
}

// ---- scenes ---------------------------------------------------------------------------------

async function show(number) {
  const scene = await ask(`scenes/${number}`);
  state.map?.remove();
  Object.assign(state, { number, scene, layers: {}, picked: null });
  $("layers").replaceChildren();
  $("pixel").hidden = true;
  $("scenes").value = number;
  // Latitude is the row, longitude the column: at zoom `depth` a pixel is a pixel.
  const k = 2 ** -scene.depth;
  const crs = L.extend({}, L.CRS.Simple, { transformation: new L.Transformation(k, 0, k, 0) });
  const all = L.latLngBounds([0, 0], [scene.rows, scene.cols]);
  state.map = L.map("map", { crs, minZoom: -1, maxZoom: scene.depth + 7, attributionControl: false, maxBounds: all.pad(1), wheelPxPerZoomLevel: 120 });
  state.map.fitBounds(all);
  sceneLayer();
  if (scene.map) addLayer("map", "Map", byTable(classTable), { opacity: 0.7 });
  scene.measures.forEach(measureLayer);
  if (Object.keys(scene.labels).length) labelsLayer();
  state.marks = L.layerGroup().addTo(state.map);
  state.map.on("mousemove", ({ latlng }) => { $("cursor").textContent = placeOf(latlng.lat, latlng.lng); });
  state.map.on("mouseout", () => { $("cursor").textContent = ""; });
  state.map.on("click", ({ latlng }) => pick(Math.floor(latlng.lat), Math.floor(latlng.lng)));
  legend();
}

const inside = (row, col) => row >= 0 && col >= 0 && row < state.scene.rows && col < state.scene.cols;

function placeOf(row, col) {
  if (!inside(row, col)) return "";
  const place = `row ${Math.floor(row)}, column ${Math.floor(col)}`;
  const ground = groundOf(row, col);
  return ground ? `${place}  ·  ${ground}` : place;
}

function groundOf(row, col) {
  const { transform, crs } = state.scene;
  if (!transform) return "";
  const [a, b, c, d, e, f] = transform;
  const digits = Math.min(7, Math.max(0, 1 - Math.floor(Math.log10(Math.hypot(a, d)))));
  return `${(a * col + b * row + c).toFixed(digits)}, ${(d * col + e * row + f).toFixed(digits)}${crs ? ` ${crs}` : ""}`;
}

// ---- legend ---------------------------------------------------------------------------------

function recolour() {
  fillClassTable();
  for (const id of ["map", "labels"]) state.layers[id]?.repaint();
  for (const button of $("classes").children) button.ariaPressed = String(!state.hidden.has(Number(button.dataset.code)));
}

function legend() {
  const { counts } = state.scene;
  const shown = state.view.classes;
  $("classes-part").hidden = !state.scene.map && !Object.keys(state.scene.labels).length;
  $("classes").replaceChildren(...shown.map((c) => {
    const pixels = counts && c.code in counts ? count(counts[c.code]) : "";
    const button = make("button", { title: "click: on or off; double click: this one alone" }, swatch(c.colour), make("span", { textContent: c.name }), make("span", { textContent: pixels }));
    button.dataset.code = c.code;
    button.addEventListener("click", () => {
      if (!state.hidden.delete(c.code)) state.hidden.add(c.code);
      recolour();
    });
    button.addEventListener("dblclick", () => {
      state.hidden = new Set(shown.map((o) => o.code).filter((code) => code !== c.code));
      recolour();
    });
    return button;
  }));
  recolour();
}

// ---- a pixel --------------------------------------------------------------------------------

let asked = 0;
async function pick(row, col) {
  if (!inside(row, col)) return;
  const mine = ++asked;
  marker(row, col);
  try {
    const pixel = await ask(`scenes/${state.number}/pixel/${row}/${col}`);
    if (mine !== asked) return;
    tell("");
    state.picked = pixel;
    state.chosen = null;
    await describe();
  } catch (error) { tell(error.message); }
}

function marker(row, col) {
  const ring = (r, c, radius, colour, more = {}) => L.circleMarker([r + 0.5, c + 0.5], { radius, color: colour, weight: 2, fill: false, interactive: false, className: "picked", ...more });
  state.marks.clearLayers();
  (state.picked?.row === row && state.picked?.col === col ? state.picked.neighbours : []).forEach((n) => {
    if (n.scene === state.number) state.marks.addLayer(ring(n.row, n.col, n === state.chosen ? 8 : 5, "#ffffff", { fill: true, fillColor: colourOf(n.code), fillOpacity: 1, weight: 1.5 }));
  });
  state.marks.addLayer(ring(row, col, 8, "#ffffff"));
}

// The map makes room for what is told of a pixel, and keeps the pixel in sight.
function fitStage() {
  if (!state.map) return;
  state.map.invalidateSize({ animate: false });
  if (state.picked && !$("pixel").hidden) state.map.panInside([state.picked.row, state.picked.col], { padding: [40, 40] });
}

function unpick() {
  asked++;
  state.picked = null;
  state.marks.clearLayers();
  $("pixel").hidden = true;
}

function fact(name, ...value) { return make("li", {}, make("span", { textContent: name }), make("span", {}, ...value)); }

async function describe() {
  const p = state.picked;
  $("pixel").hidden = false;
  $("place").textContent = `Row ${p.row}, column ${p.col}`;
  const facts = [];
  const ground = groundOf(p.row + 0.5, p.col + 0.5);
  if (ground) facts.push(fact("place", ground));
  if (p.map !== null) facts.push(fact("map", ...(p.map ? [swatch(colourOf(p.map))] : []), nameOf(p.map)));
  if (p.label) facts.push(fact("label", swatch(colourOf(p.label.code)), `${nameOf(p.label.code)}, ${p.label.part}`));
  for (const [name, value] of Object.entries(p.measures)) facts.push(fact(MEASURES[name].toLowerCase(), value === null ? "none" : Number(value.toPrecision(3)).toString()));
  if (!p.valid) facts.push(fact("spectrum", "no measurement in some band"));
  $("facts").replaceChildren(...facts);
  $("spectrum").hidden = !p.valid;
  probabilities();
  neighbours();
  marker(p.row, p.col);
  if (!p.valid) return;
  // The range of the map's class, else of the most probable one that somebody labelled.
  const { columns, labelled } = state.view;
  const best = (p.probabilities || []).slice(0, labelled).reduce((b, v, i, all) => (v > all[b] ? i : b), 0);
  const known = classOf(p.map) ? p.map : columns[best] || state.view.classes[0]?.code;
  $("range-line").hidden = !state.view.dataset;
  if (state.view.dataset) $("range").value = known;
  await chart();
}

function probabilities() {
  const { probabilities: values } = state.picked;
  $("probabilities-part").hidden = !values;
  if (!values) return;
  $("of-spectrum").hidden = !state.view.spatial;
  const slots = values.map((p, i) => {
    const code = state.view.columns[i];
    return { p, code, name: code ? nameOf(code) : `free slot ${i - state.view.labelled + 1}` };
  }).filter((s) => s.p >= LEAST_SHOWN).sort((a, b) => b.p - a.p);
  $("probabilities").replaceChildren(...slots.map(({ p, code, name }) => {
    const bar = make("i", {});
    bar.style.width = `${100 * p}%`;
    bar.style.background = colourOf(code);
    const row = make("button", {}, make("span", {}, swatch(colourOf(code)), name), make("span", { className: "bar" }, bar), make("span", { className: "number", textContent: `${(100 * p).toFixed(1)} %` }));
    row.addEventListener("click", () => { if (code && state.view.dataset) { $("range").value = code; chart(); } });
    return row;
  }));
}

function neighbours() {
  const found = state.picked.neighbours;
  $("neighbours-part").hidden = !found.length;
  $("neighbours").replaceChildren(...found.map((n) => {
    const elsewhere = n.scene === state.number ? "" : `${n.scene_name} `;
    const row = make("button", { title: "its spectrum beside this one; distance in the scaled space" }, make("span", {}, swatch(colourOf(n.code)), nameOf(n.code)), make("span", { className: "soft", textContent: `${elsewhere}${n.row}, ${n.col}` }), make("span", { className: "number", textContent: n.distance.toPrecision(3) }));
    row.addEventListener("click", () => {
      state.chosen = state.chosen === n ? null : n;
      [...$("neighbours").querySelectorAll("button")].forEach((b) => b.classList.toggle("chosen", b === row && state.chosen === n));
      if (state.chosen && n.scene === state.number) state.map.panInside([n.row, n.col], { padding: [40, 40] });
      marker(state.picked.row, state.picked.col);
      chart();
    });
    return make("li", {}, row);
  }));
}

// ---- the chart of spectra -------------------------------------------------------------------

const ranges = new Map();
async function rangeOf(code) {
  if (!ranges.has(code)) ranges.set(code, (await ask(`classes/${code}`)).quantiles);
  return ranges.get(code);
}

function ticks(low, high, most) {
  const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step + 0); // no minus zero
  return found;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The bands in the order of their wavelengths, in runs: bands that are left out leave a gap.
function runs(x) {
  const order = x.map((_, i) => i).sort((a, b) => x[a] - x[b]);
  const gaps = order.slice(1).map((i, j) => x[i] - x[order[j]]);
  const usual = [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 2)] || 1;
  const found = [[]];
  order.forEach((band, j) => {
    if (j && gaps[j - 1] > 3 * usual) found.push([]);
    found.at(-1).push(band);
  });
  return found;
}

async function chart() {
  const p = state.picked;
  const code = state.view.dataset ? Number($("range").value) : 0;
  const range = code ? await rangeOf(code) : null;
  if (p !== state.picked) return;
  const waves = state.scene.wavelengths_nm;
  const x = waves || p.spectrum.map((_, i) => i + 1);
  const like = state.chosen?.spectrum;
  const values = [...p.spectrum, ...(like || []), ...(range ? [...range[0], ...range[4]] : [])].filter((v) => v !== null);
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) high = low + 1;
  [low, high] = [low - 0.04 * (high - low), high + 0.04 * (high - low)];
  const width = $("chart").clientWidth || 340, height = 190;
  const box = { left: 8 + 7 * Math.max(...ticks(low, high, 5).map((t) => t.toLocaleString("en").length)), right: width - 6, top: 8, bottom: height - 34 };
  const first = Math.min(...x), last = Math.max(...x);
  const toX = (v) => box.left + ((v - first) / (last - first || 1)) * (box.right - box.left);
  const toY = (v) => box.bottom - ((v - low) / (high - low)) * (box.bottom - box.top);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "spectrum" });
  for (const t of ticks(low, high, 5)) {
    svg.append(drawn("line", { class: "grid", x1: box.left, x2: box.right, y1: toY(t), y2: toY(t) }), drawn("text", { x: box.left - 5, y: toY(t) + 4, "text-anchor": "end" }, t.toLocaleString("en")));
  }
  for (const t of ticks(first, last, width / 70)) svg.append(drawn("text", { x: toX(t), y: box.bottom + 15, "text-anchor": "middle" }, t));
  svg.append(drawn("text", { x: (box.left + box.right) / 2, y: height - 3, "text-anchor": "middle" }, waves ? "wavelength (nm)" : "band"));
  const point = (band, series) => `${toX(x[band]).toFixed(1)},${toY(series[band]).toFixed(1)}`;
  for (const run of runs(x)) {
    const line = (series) => "M" + run.map((band) => point(band, series)).join("L");
    if (range) {
      const fill = colourOf(code);
      const band = (lower, upper) => `${line(upper)}L${[...run].reverse().map((b) => point(b, lower)).join("L")}Z`;
      svg.append(drawn("path", { class: "wide", d: band(range[0], range[4]), fill }), drawn("path", { class: "half", d: band(range[1], range[3]), fill }), drawn("path", { class: "median", d: line(range[2]), stroke: fill }));
    }
    if (like) svg.append(drawn("path", { class: "like", d: line(like) }));
    svg.append(drawn("path", { class: "own", d: line(p.spectrum) }));
  }
  const at = drawn("g", { visibility: "hidden" });
  const rule = drawn("line", { class: "at", y1: box.top, y2: box.bottom }), note = drawn("text", { y: box.top + 3 });
  at.append(rule, note);
  svg.append(at);
  svg.addEventListener("pointermove", (event) => {
    const here = ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * width;
    const band = x.reduce((best, v, i) => (Math.abs(toX(v) - here) < Math.abs(toX(x[best]) - here) ? i : best), 0);
    const place = toX(x[band]);
    rule.setAttribute("x1", place);
    rule.setAttribute("x2", place);
    note.setAttribute("x", place + (place > width / 2 ? -5 : 5));
    note.setAttribute("text-anchor", place > width / 2 ? "end" : "start");
    note.textContent = `${waves ? `${Math.round(x[band])} nm` : `band ${x[band]}`}: ${Number(p.spectrum[band].toPrecision(5)).toLocaleString("en")}`;
    at.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerleave", () => at.setAttribute("visibility", "hidden"));
  $("chart").replaceChildren(svg);
}

// ---- the beginning --------------------------------------------------------------------------

async function begin() {
  state.view = await ask("view.json");
  document.title = `${state.view.title} – hsi-ssl`;
  $("title").append(...state.view.title.split(/(?<=[_/])/).flatMap((part) => [part, make("wbr")]));
  $("scenes").append(...state.view.scenes.map((s, i) => make("option", { value: i, textContent: s.name, title: s.path })));
  $("scenes").hidden = state.view.scenes.length < 2;
  $("scenes").addEventListener("change", () => show(Number($("scenes").value)).catch((error) => tell(error.message)));
  $("range").append(...state.view.classes.map((c) => make("option", { value: c.code, textContent: c.name })));
  $("range").addEventListener("change", chart);
  $("all").addEventListener("click", () => { state.hidden.clear(); recolour(); });
  $("none").addEventListener("click", () => { state.hidden = new Set(state.view.classes.map((c) => c.code)); recolour(); });
  $("close").addEventListener("click", unpick);
  addEventListener("keydown", ({ key }) => { if (key === "Escape" && state.picked) unpick(); });
  new ResizeObserver(fitStage).observe($("map"));
  addEventListener("resize", () => { if (state.picked?.valid) chart(); });
  await show(0);
}

begin().catch((error) => tell(error.message));

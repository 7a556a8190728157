"use strict";
// Draws a session. Everything that comes from the session is set as text or drawn on a canvas, never as HTML.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const video = $("film"), overview = $("overview"), tracks = $("tracks"), pathCanvas = $("path");
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];
const GUTTER = 118, RULER = 24, GAP = 6, SHORTEST = 0.5;
const CAPS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Space: "space", Enter: "⏎",
  ShiftLeft: "shift", ShiftRight: "shift ›", ControlLeft: "ctrl", ControlRight: "ctrl ›", AltLeft: "alt",
  MouseLeft: "mouse L", MouseRight: "mouse R", MouseMiddle: "mouse M" };
const ARROWS = { ArrowUp: [0, 1], ArrowLeft: [1, 0], ArrowDown: [1, 1], ArrowRight: [1, 2] };
const ROWS = ["QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM"];
const SHADES = { strayed: "strayed: the seconds before a takeover", correction: "correction: what the player then did",
  agent: "the agent held the controls", silent: "the sound device was gone" };

// --- what the page holds ---------------------------------------------------------------------------------------------
function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
const shares = (text) => text && Float32Array.from(bytes(text), (v) => v / 255);
const curve = (text, top) => text && Float32Array.from(new Int16Array(bytes(text).buffer), (v) => v / 32767 * top);
function stretches(lengths) { // run lengths -> [first, after the last] of what is on
  const found = [];
  for (let i = 0, at = 0; i < lengths.length; i += 2) {
    found.push([at + lengths[i], at + lengths[i] + lengths[i + 1]]);
    at += lengths[i] + lengths[i + 1];
  }
  return found;
}
const count = data.count, end = data.end / data.units;
const at = new Float64Array(count + 1); // seconds at which each tick begins; the last is the end
new Uint16Array(bytes(data.steps).buffer).reduce((sum, step, i) => (at[i] = (sum + step) / data.units, sum + step), 0);
at[count] = end;
const buttons = data.buttons.map((b) => ({ name: b.name, held: stretches(b.runs), chance: shares(b.chance) }));
const curves = data.curves.map((c) => ({ ...c, values: curve(c.values, c.top), guessed: curve(c.guessed, c.top) }));
const level = shares(data.level), agreement = shares(data.agreement);
const shaded = Object.fromEntries(Object.entries(data.shaded).map(([name, lengths]) => [name, stretches(lengths)]));
const unused = stretches(data.unused);
const takeovers = shaded.correction.map(([first]) => first);

function film() { // the pieces are turned into bytes one by one and let go of, so that an hour fits into memory
  const pieces = [];
  for (const node of document.querySelectorAll("script.film")) {
    pieces.push(bytes(node.textContent));
    node.remove();
  }
  return URL.createObjectURL(new Blob(pieces, { type: "video/mp4" }));
}

// --- where we are ----------------------------------------------------------------------------------------------------
let now = 0, playing = false, filmWorks = false, before = 0, speed = 1;
let view = [0, Math.min(end, 30)], stale = true, hover = null;

function tickAt(seconds) { // the tick shown then: the last that begins at or before
  let low = 0, high = count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at[middle] <= seconds) low = middle; else high = middle;
  }
  return low;
}
function within(list, tick) { return list.some(([first, after]) => first <= tick && tick < after); }
function heldAt(list, tick) { // as `within`, for long lists
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][1] <= tick) low = middle + 1; else high = middle;
  }
  return low < list.length && list[low][0] <= tick;
}
function seek(seconds) {
  now = Math.max(0, Math.min(end - 1e-4, seconds));
  if (filmWorks) video.currentTime = now;
  follow();
}
function step(by) { // into the middle of a tick: rounding can't show its neighbour
  const tick = Math.max(0, Math.min(count - 1, tickAt(now) + by));
  pause();
  seek((at[tick] + at[tick + 1]) / 2);
}
function pause() { playing = false; video.pause(); $("play").textContent = "▶"; }
function play() {
  if (now >= end - 0.05) seek(0);
  playing = true;
  before = performance.now();
  $("play").textContent = "❚❚";
  if (filmWorks) video.play().catch(() => pause());
}
function setSpeed(value) { speed = value; video.playbackRate = value; video.defaultPlaybackRate = value; }
function show(first, last) {
  const width = Math.max(SHORTEST, Math.min(end, last - first));
  const begin = Math.max(0, Math.min(end - width, first));
  view = [begin, begin + Math.min(width, end)];
  stale = true;
}
function follow() {
  const width = view[1] - view[0];
  if (now < view[0] || now > view[1]) show(now - width * 0.1, now + width * 0.9);
}
function zoom(factor, around) {
  const left = (around - view[0]) * factor;
  show(around - left, around - left + (view[1] - view[0]) * factor);
}

// --- drawing ---------------------------------------------------------------------------------------------------------
let ink = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "card", "ink", "dim", "line", "lane", "player", "policy", "sound", "agree", "head",
    "correction", "strayed", "agent", "silent", "unused", "dropped", "takeover"]) ink[name] = style.getPropertyValue("--" + name);
  stale = true;
}
const rows = [
  ...buttons.map((b) => ({ name: b.name, height: b.chance ? 34 : 22, draw: (p) => drawButton(p, b) })),
  ...curves.map((c) => ({ name: c.name, height: 46, draw: (p) => drawCurve(p, c) })),
  ...(level ? [{ name: "sound", height: 30, draw: (p) => area(p, level, ink.sound, p.top, p.height) }] : []),
  ...(agreement ? [{ name: "agreement", height: 30, draw: (p) => area(p, agreement, ink.agree, p.top, p.height) }] : []),
];
const tall = RULER + rows.reduce((sum, row) => sum + row.height + GAP, 0);

function sized(canvas, height) { // a context in CSS pixels, whatever the screen's are
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return [pen, width];
}
function clear(pen, width, height) { pen.fillStyle = ink.card; pen.fillRect(0, 0, width, height); }
function shade(p, top, height) {
  const mark = (list, colour) => {
    p.pen.fillStyle = colour;
    for (const [first, after] of list) p.box(at[first], at[after], top, height);
  };
  mark(unused, ink.unused);
  for (const name of Object.keys(SHADES)) mark(shaded[name], ink[name]);
}
function marks(p, top, height) { // takeovers, dropped ticks, pauses that were cut short
  const upright = (row, colour, dash) => {
    p.pen.strokeStyle = colour;
    p.pen.setLineDash(dash);
    p.pen.beginPath();
    p.pen.moveTo(p.x(at[row]), top);
    p.pen.lineTo(p.x(at[row]), top + height);
    p.pen.stroke();
    p.pen.setLineDash([]);
  };
  for (const row of takeovers) upright(row, ink.takeover, []);
  for (const [row] of data.pauses) upright(row, ink.dim, [3, 3]);
  p.pen.fillStyle = ink.dropped;
  for (const [row] of data.dropped) p.pen.fillRect(p.x(at[row]) - 1, top, 2, Math.min(height, 7));
}
function drawButton(p, button) {
  const height = button.chance ? 18 : p.height;
  p.pen.fillStyle = ink.player;
  let last = -1;
  for (const [first, after] of button.held) {
    if (at[after] < p.from || at[first] > p.to) continue;
    if (p.x(at[after]) > last) p.box(at[first], at[after], p.top + 2, height - 4), last = p.x(at[after]);
  }
  if (button.chance) area(p, button.chance, ink.policy, p.top + height, p.height - height);
}
function columns(p, values, put) { // put(x, x1, low, high, mean) for each pixel column, or each tick where they are wider
  let tick = tickAt(p.from);
  for (let x = p.x(at[tick]); tick < count && at[tick] < p.to;) {
    const edge = x + 1;
    let low = Infinity, high = -Infinity, sum = 0, n = 0, stop = x;
    while (tick < count && (n === 0 || p.x(at[tick + 1]) <= edge)) {
      low = Math.min(low, values[tick]);
      high = Math.max(high, values[tick]);
      sum += values[tick++];
      n++;
      stop = p.x(at[tick]);
    }
    put(x, stop, low, high, sum / n);
    x = stop;
  }
}
function area(p, values, colour, top, height) {
  p.pen.fillStyle = colour;
  p.pen.globalAlpha = 0.85;
  columns(p, values, (x, stop, low, high, mean) => { // whole pixels, so that no seams show between ticks
    const first = Math.round(x);
    p.pen.fillRect(first, top + height * (1 - mean), Math.round(stop) - first, height * mean);
  });
  p.pen.globalAlpha = 1;
}
function drawCurve(p, track) {
  const middle = p.top + p.height / 2, reach = p.height / 2 - 3;
  p.pen.strokeStyle = ink.line;
  p.pen.strokeRect(p.left, middle, p.width - p.left, 0);
  const line = (values, colour) => {
    if (!values) return;
    p.pen.strokeStyle = colour;
    p.pen.lineWidth = 1.5;
    p.pen.beginPath();
    columns(p, values, (x, stop, low, high) => {
      p.pen.lineTo(x, middle - high / track.top * reach);
      if (low !== high) p.pen.lineTo(x, middle - low / track.top * reach);
      p.pen.lineTo(stop, middle - low / track.top * reach);
    });
    p.pen.stroke();
    p.pen.lineWidth = 1;
  };
  line(track.guessed, ink.policy);
  line(track.values, ink.player);
}
function plane(pen, left, width, from, to) { // seconds -> pixels
  const scale = (width - left) / (to - from), x = (seconds) => left + (seconds - from) * scale;
  const box = (a, b, top, height) => {
    if (b < from || a > to) return;
    const x0 = Math.max(left, x(a)), x1 = Math.min(width, x(b));
    pen.fillRect(x0, top, Math.max(1, x1 - x0), height);
  };
  return { pen, left, width, from, to, x, box };
}
function clockText(seconds, digits) {
  const parts = Math.round(seconds * 10 ** digits), whole = Math.floor(parts / 10 ** digits);
  const rest = digits ? "." + String(parts % 10 ** digits).padStart(digits, "0") : "";
  return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0") + rest;
}
function ruler(p) {
  const wanted = (p.to - p.from) * 80 / (p.width - p.left);
  const every = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((s) => s >= wanted) || 3600;
  p.pen.fillStyle = ink.dim;
  p.pen.textAlign = "center";
  for (let s = Math.ceil(p.from / every) * every; s <= p.to; s += every) {
    if (p.x(s) > p.left + 14 && p.x(s) < p.width - 14) p.pen.fillText(clockText(s, every < 1 ? 2 : 0), p.x(s), 11);
    p.pen.fillRect(p.x(s), 17, 1, 4);
  }
}
const still = document.createElement("canvas"); // the tracks without what moves
function drawStill() {
  tracks.style.height = tall + "px";
  const [pen, width] = sized(tracks, tall);
  const p = plane(pen, GUTTER, width, ...view);
  clear(pen, width, tall);
  pen.font = "12px system-ui, sans-serif";
  ruler(p);
  let top = RULER;
  for (const row of rows) {
    pen.fillStyle = ink.lane;
    pen.fillRect(GUTTER, top, width - GUTTER, row.height);
    top += row.height + GAP;
  }
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, RULER - 4, width - GUTTER, tall);
  pen.clip();
  shade(p, RULER, tall - RULER - GAP);
  top = RULER;
  for (const row of rows) {
    row.draw({ ...p, top, height: row.height });
    top += row.height + GAP;
  }
  marks(p, RULER, tall - RULER - GAP);
  pen.restore();
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.fillStyle = ink.ink;
  top = RULER;
  for (const row of rows) {
    pen.fillText(row.name.slice(0, 24), GUTTER - 10, top + row.height / 2, GUTTER - 12);
    top += row.height + GAP;
  }
  still.width = tracks.width;
  still.height = tracks.height;
  still.getContext("2d").drawImage(tracks, 0, 0);
}
const stillOverview = document.createElement("canvas");
function drawStillOverview() {
  const [pen, width] = sized(overview, 46);
  const p = plane(pen, 0, width, 0, end);
  pen.fillStyle = ink.lane;
  pen.fillRect(0, 0, width, 46);
  shade(p, 0, 46);
  pen.fillStyle = ink.player;
  pen.globalAlpha = 0.75;
  const busy = new Float32Array(Math.ceil(width) + 1); // how often something was pressed or let go of, by pixel
  for (const b of buttons) for (const [first, after] of b.held) busy[p.x(at[first]) | 0]++, busy[p.x(at[after]) | 0]++;
  for (const c of curves) {
    let last = 0;
    columns(p, c.values, (x, stop, low, high, mean) => (busy[x | 0] += Math.abs(mean - last) / c.top * 2, last = mean));
  }
  const most = busy.reduce((a, b) => Math.max(a, b), 1e-9);
  busy.forEach((v, x) => pen.fillRect(x, 23 - 20 * v / most, 1, 40 * v / most));
  pen.globalAlpha = 1;
  marks(p, 0, 46);
  stillOverview.width = overview.width;
  stillOverview.height = overview.height;
  stillOverview.getContext("2d").drawImage(overview, 0, 0);
}
function overlay(canvas, picture, from, to, left) { // the still picture, and what moves over it
  const pen = canvas.getContext("2d"), width = canvas.clientWidth, height = canvas.clientHeight;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.drawImage(picture, 0, 0);
  pen.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
  const p = plane(pen, left, width, from, to);
  if (canvas === overview) {
    pen.fillStyle = ink.card;
    pen.globalAlpha = 0.55;
    p.box(0, view[0], 0, height);
    p.box(view[1], end, 0, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = ink.dim;
    pen.strokeRect(p.x(view[0]) + 0.5, 0.5, Math.max(2, p.x(view[1]) - p.x(view[0]) - 1), height - 1);
  } else if (hover !== null) {
    pen.fillStyle = ink.dim;
    pen.fillRect(p.x(hover), RULER - 4, 1, height - RULER);
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    const text = clockText(hover, 2), wide = pen.measureText(text).width / 2 + 6;
    const x = Math.min(width - wide, Math.max(left + wide, p.x(hover)));
    pen.fillStyle = ink.card;
    pen.fillRect(x - wide, 0, wide * 2, 16);
    pen.fillStyle = ink.ink;
    pen.fillText(text, x, 11);
  }
  if (now < from || now > to) return;
  pen.fillStyle = ink.head;
  pen.fillRect(p.x(now) - 1, 0, 2, height);
}
function drawPath(tick) { // how the mouse moved in the last second, its end in the middle of the picture
  const x = curves.find((c) => c.name === "MouseX"), y = curves.find((c) => c.name === "MouseY");
  if (!x && !y) return;
  const [pen, width] = sized(pathCanvas, pathCanvas.clientHeight), height = pathCanvas.clientHeight;
  const unit = Math.min(width, height) / 5 / Math.max(x ? x.top : 1, y ? y.top : 1);
  pen.lineWidth = 3;
  pen.lineCap = "round";
  pen.strokeStyle = ink.player;
  let px = width / 2, py = height / 2;
  for (let i = tick; i >= 0 && at[tick] - at[i] <= 1; i--) {
    const nx = px - (x ? x.values[i] : 0) * unit, ny = py - (y ? y.values[i] : 0) * unit;
    pen.globalAlpha = 1 - (at[tick] - at[i]);
    pen.beginPath();
    pen.moveTo(px, py);
    pen.lineTo(nx, ny);
    pen.stroke();
    px = nx;
    py = ny;
  }
  pen.globalAlpha = 1;
  pen.fillStyle = ink.head;
  pen.beginPath();
  pen.arc(width / 2, height / 2, 4, 0, 7);
  pen.fill();
}

// --- the panel of what is pressed now --------------------------------------------------------------------------------
function element(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}
function placeOf(name) { // [cluster, row, column] on a keyboard; the rest simply follows
  if (ARROWS[name]) return ["arrows", ...ARROWS[name]];
  const row = /^Key[A-Z]$/.test(name) ? ROWS.findIndex((letters) => letters.includes(name[3])) : -1;
  return row < 0 ? ["flow", 0, 0] : ["letters", row, ROWS[row].indexOf(name[3])];
}
function makeKeys() {
  const placed = buttons.map((b) => [b, ...placeOf(b.name)]);
  for (const kind of ["letters", "arrows", "flow"]) {
    const mine = placed.filter((entry) => entry[1] === kind);
    if (!mine.length) continue;
    const cluster = element("div", "cluster " + kind);
    const top = Math.min(...mine.map((m) => m[2])), left = Math.min(...mine.map((m) => m[3]));
    for (const [button, , row, column] of mine) {
      const cap = CAPS[button.name] || button.name.replace(/^(Key|Digit|Pad)(?=.)/, "");
      button.node = element("div", "key" + (button.name === "Space" ? " wide" : ""), cap);
      button.node.title = button.name;
      if (kind !== "flow") button.node.style.gridArea = `${row - top + 1} / ${column - left + 1}`;
      if (button.chance) button.bar = button.node.appendChild(element("i"));
      cluster.append(button.node);
    }
    $("keys").append(cluster);
  }
}
function makeMeters() {
  const meter = (name, guessed) => {
    const bar = element("div", "meter"), figure = element("span", "figure");
    const parts = { figure, player: bar.appendChild(element("b")), policy: guessed && bar.appendChild(element("i")) };
    $("meters").append(element("span", "", name), bar, figure);
    return parts;
  };
  for (const c of curves) c.meter = meter(c.name, c.guessed);
  if (level) level.meter = meter("sound");
  if (agreement) agreement.meter = meter("agreement");
}
function showNow(tick) {
  for (const b of buttons) {
    b.node.classList.toggle("held", heldAt(b.held, tick));
    if (b.bar) b.bar.style.transform = `scaleX(${b.chance[tick]})`;
  }
  for (const c of curves) {
    c.meter.player.style.left = 50 + 50 * c.values[tick] / c.top + "%";
    if (c.guessed) c.meter.policy.style.left = 50 + 50 * c.guessed[tick] / c.top + "%";
    c.meter.figure.textContent = c.values[tick].toFixed(c.axis ? 2 : 1);
  }
  for (const values of [level, agreement]) {
    if (!values) continue;
    values.meter.player.style.left = 100 * values[tick] + "%";
    values.meter.figure.textContent = values === level ? Math.round(60 * values[tick] - 60) + " dB"
      : Math.round(100 * values[tick]) + " %";
  }
  const said = Object.keys(SHADES).filter((name) => within(shaded[name], tick)).map((name) => SHADES[name]);
  if (within(unused, tick)) said.push("not learned from");
  $("state").textContent = said.join(" · ");
  $("clock").textContent = `${clockText(now, 2)} / ${clockText(end, 0)} · tick ${tick}`;
  overview.setAttribute("aria-valuenow", now.toFixed(1));
  overview.setAttribute("aria-valuetext", clockText(now, 1));
}
function makeFacts() {
  const fill = (list, facts) => {
    for (const [name, text] of facts) $(list).append(element("dt", "", name), element("dd", "", text));
  };
  fill("facts", data.facts);
  fill("policyfacts", data.policy);
  $("policy").hidden = !data.policy.length;
  $("game").textContent = data.game;
  $("summary").textContent = data.facts.slice(0, 2).map(([, text]) => text).join(" · ");
  $("made").textContent = data.made;
  const swatch = (colour, text) => {
    const node = element("span", "", text);
    node.style.setProperty("--c", `var(--${colour})`);
    $("legend").append(node);
  };
  swatch("player", "the player");
  if (data.policy.length) swatch("policy", "the policy: how likely it would hold, or where it would move");
  if (level) swatch("sound", "loudness, −60 dB to full");
  if (agreement) swatch("agree", "agreement: share of controls the policy would leave as the player did");
  for (const [name, text] of Object.entries(SHADES)) {
    if (shaded[name].length) swatch(name, `${text} (${shaded[name].length})`);
  }
  if (takeovers.length) swatch("takeover", `takeovers (${takeovers.length})`);
  if (unused.length) swatch("unused", "not learned from");
  const missing = data.dropped.reduce((sum, [, n]) => sum + n, 0);
  if (missing) swatch("dropped", `dropped ticks (${missing})`);
  if (data.pauses.length) swatch("dim", `pauses cut short (${data.pauses.length})`);
}

// --- hands -----------------------------------------------------------------------------------------------------------
function secondsAt(canvas, event) {
  const box = canvas.getBoundingClientRect(), left = canvas === tracks ? GUTTER : 0;
  const [from, to] = canvas === tracks ? view : [0, end];
  const share = (event.clientX - box.left - left) / (box.width - left);
  return from + Math.max(0, Math.min(1, share)) * (to - from);
}
function listen() {
  for (const canvas of [tracks, overview]) {
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); seek(secondsAt(canvas, e)); });
    canvas.addEventListener("pointermove", (e) => {
      hover = canvas === tracks ? secondsAt(canvas, e) : null;
      if (canvas.hasPointerCapture(e.pointerId)) seek(secondsAt(canvas, e));
    });
    canvas.addEventListener("pointerleave", () => { hover = null; });
    canvas.addEventListener("dblclick", () => show(0, end));
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      const move = e.shiftKey ? e.deltaY || e.deltaX : e.deltaX, width = view[1] - view[0];
      if (Math.abs(move) > (e.shiftKey ? 0 : Math.abs(e.deltaY))) {
        show(view[0] + Math.sign(move) * width / 8, view[1] + Math.sign(move) * width / 8);
      } else zoom(e.deltaY > 0 ? 1.25 : 0.8, secondsAt(canvas, e));
    }, { passive: false });
  }
  $("play").onclick = () => (playing ? pause() : play());
  $("back").onclick = () => step(-1);
  $("on").onclick = () => step(1);
  $("volume").oninput = () => { video.volume = +$("volume").value; };
  $("speed").onchange = () => setSpeed(+$("speed").value);
  for (const value of SPEEDS) $("speed").append(new Option(value + "×", value, value === 1, value === 1));
  const keys = { " ": () => $("play").click(), ArrowLeft: (e) => (e.shiftKey ? seek(now - 1) : step(-1)),
    ArrowRight: (e) => (e.shiftKey ? seek(now + 1) : step(1)), Home: () => seek(0), End: () => seek(end),
    "+": () => zoom(0.5, now), "=": () => zoom(0.5, now), "-": () => zoom(2, now), 0: () => show(0, end) };
  document.addEventListener("keydown", (e) => {
    if (!keys[e.key] || e.ctrlKey || e.altKey || e.metaKey || /^(SELECT|INPUT)$/.test(e.target.tagName)) return;
    e.preventDefault();
    keys[e.key](e);
  });
  document.addEventListener("keyup", (e) => { // a focused button would take the space bar as well
    if (e.key === " " && e.target.tagName === "BUTTON") e.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
  new ResizeObserver(() => { stale = true; }).observe($("timeline"));
}
function startFilm() {
  const failed = () => {
    filmWorks = false;
    $("trouble").hidden = false;
    $("trouble").textContent = "This browser can't play the film (H.264 in MP4). The tracks below work without it.";
  };
  video.addEventListener("loadedmetadata", () => { filmWorks = true; $("screen").dataset.ready = "yes"; seek(now); });
  video.addEventListener("error", failed);
  video.addEventListener("ended", pause);
  video.volume = +$("volume").value;
  $("loudness").hidden = !level;
  video.src = film();
}
function frame(t) {
  if (playing) {
    now = filmWorks ? video.currentTime : now + (t - before) / 1000 * speed;
    if (now >= end - 1e-4) { now = end - 1e-4; pause(); }
    follow();
  }
  before = t;
  if (stale) {
    stale = false;
    drawStill();
    drawStillOverview();
  }
  overlay(tracks, still, ...view, GUTTER);
  overlay(overview, stillOverview, 0, end, 0);
  const tick = tickAt(now);
  drawPath(tick);
  showNow(tick);
  requestAnimationFrame(frame);
}

readColours();
makeFacts();
makeKeys();
makeMeters();
overview.setAttribute("aria-valuemax", end.toFixed(1));
listen();
setSpeed(1);
startFilm();
// `#12.5` opens the page at 12.5 s, `#12.5,60` with 60 s of tracks
const [begin, length] = location.hash.slice(1).split(",").map(Number);
if (begin > 0) seek(begin);
if (length > 0) show(begin - length / 2, begin + length / 2);
requestAnimationFrame(frame);

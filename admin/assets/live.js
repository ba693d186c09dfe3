// The live board: takes patches from the server's event stream and puts them into the page.
//
// A patch is { at, texts: { name: text }, lists: { name: { order: [key], rows: { key: html } } } }.
// Rows are HTML made by the same templates as the first page, with every text escaped there; a
// row that is not in `rows` has not changed. The server sends at most four patches a second and
// a beat when nothing changes; after some minutes it asks to open a new stream (`renew`).

const board = document.getElementById("board");
const connection = document.getElementById("connection");
const clock = document.getElementById("clock");
const dialog = document.getElementById("hang-up");

/** Silence after which the stream is taken for dead: twice the server's beat and some. */
const SILENCE_MS = 25_000;
/** First and longest wait before trying again. */
const RETRY_MS = [1_000, 15_000];

let skew = Number(board.dataset.now) - Date.now();
let stream = null;
let retry = RETRY_MS[0];
let silence = 0;
let retrying = 0;
let pending = [];

const serverNow = () => Date.now() + skew;

function show(state) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = connection.dataset[state];
}

function connect() {
  clearTimeout(retrying);
  stream?.close();
  stream = new EventSource(board.dataset.stream);
  stream.onmessage = (event) => {
    retry = RETRY_MS[0];
    listen();
    show("connected");
    const patch = JSON.parse(event.data);
    if (patch.renew) connect();
    else take(patch);
  };
  stream.onerror = lost;
  listen();
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MS);
}

/** Tries again later, each time after a longer wait; a session that is over needs a sign-in. */
function lost() {
  stream?.close();
  clearTimeout(silence);
  clearTimeout(retrying);
  if (document.hidden) return;
  show("lost");
  retrying = setTimeout(async () => {
    const answer = await fetch("/ui/session", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.reload();
    else if (answer?.ok) connect();
    else lost();
  }, retry);
  retry = Math.min(retry * 2, RETRY_MS[1]);
}

function take(patch) {
  skew = patch.at - Date.now();
  pending.push(patch);
  if (pending.length === 1) requestAnimationFrame(apply);
}

function apply() {
  const patches = pending;
  pending = [];
  for (const patch of patches) {
    for (const [name, text] of Object.entries(patch.texts ?? {})) setText(name, text);
    for (const [name, list] of Object.entries(patch.lists ?? {})) setList(name, list);
  }
  tick();
}

function setText(name, text) {
  for (const place of document.querySelectorAll(`[data-text="${name}"]`)) place.textContent = text;
  if (name === "hidden") board.querySelector(".more").dataset.hiddenCalls = text;
}

function setList(name, { order, rows }) {
  const list = document.querySelector(`[data-list="${name}"]`);
  if (!list) return;
  const old = new Map(Array.from(list.children, (row) => [row.dataset.key, row]));
  let at = list.firstElementChild;
  for (const key of order) {
    let row = old.get(key);
    const html = rows[key];
    if (html !== undefined && row?.source !== html) {
      const made = build(html);
      made.source = html;
      if (row) {
        if (row === at) at = made;
        replace(row, made);
      } else {
        made.classList.add("fresh");
      }
      row = made;
    }
    old.delete(key);
    if (!row) continue;
    if (row === at) at = at.nextElementSibling;
    else list.insertBefore(row, at);
  }
  for (const row of old.values()) row.remove();
  // An empty list is told by CSS, which white space would hide.
  if (order.length === 0) list.textContent = "";
}

function build(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

/** Keeps the keyboard where it was when its row changes. */
function replace(row, made) {
  const focused = row.contains(document.activeElement);
  row.replaceWith(made);
  if (focused) made.querySelector("[data-hang-up]")?.focus();
}

const two = (value) => String(value).padStart(2, "0");

function duration(millis) {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function tick() {
  const now = serverNow();
  for (const place of document.querySelectorAll("[data-since]")) {
    const text = duration(now - Number(place.dataset.since));
    if (place.textContent !== text) place.textContent = text;
  }
  const local = new Date(now + Number(board.dataset.offset) * 60_000);
  clock.textContent = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
}

function askHangUp(link) {
  const row = link.closest("[data-key]");
  const form = dialog.querySelector("form");
  form.action = link.href;
  dialog.querySelector(".what").textContent =
    `${row.querySelector(".from > span").textContent} → ${row.querySelector(".called > span").textContent}`;
  dialog.querySelector("[role=alert]").hidden = true;
  dialog.showModal();
}

async function hangUp(event) {
  event.preventDefault();
  const form = event.target;
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { accept: "application/json" },
  }).catch(() => null);
  // A call that ended by itself meanwhile is what was wanted.
  if (answer?.ok || answer?.status === 404) dialog.close();
  else dialog.querySelector("[role=alert]").hidden = false;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-hang-up]");
  if (!link || !dialog || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  askHangUp(link);
});
document.addEventListener("keydown", (event) => {
  // A link that acts as a button obeys the space bar too.
  if (event.key === " " && event.target.matches?.("[data-hang-up]")) {
    event.preventDefault();
    askHangUp(event.target);
  }
});
dialog?.querySelector("form").addEventListener("submit", hangUp);
dialog?.querySelector("button[value=cancel]").addEventListener("click", () => dialog.close());

const fullScreen = document.getElementById("full-screen");
if (document.fullscreenEnabled) {
  fullScreen.hidden = false;
  fullScreen.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
}

// A page nobody sees holds no connection: browsers allow six to one server over all tabs.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    retry = RETRY_MS[0];
    connect();
    return;
  }
  stream?.close();
  clearTimeout(silence);
  clearTimeout(retrying);
  show("connecting");
});

setInterval(tick, 1000);
tick();
connect();

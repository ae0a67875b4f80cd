// A document beside the answer: its text around the passage, or the page of a PDF, with the passage marked.

import { blob, json } from "./api.js";
import { byId, element, tell } from "./dialog.js";
import { t } from "./words.js";

const AROUND = 6000; // characters shown on either side of a passage

let shown = null; // { index, name, start, end, page, pages, asText }
let opener = null;

const path = () => `/indexes/${encodeURIComponent(shown.index)}/documents/${shown.name.split("/").map(encodeURIComponent).join("/")}`;

export async function open(index, citation) {
  opener = document.activeElement;
  const isPdf = citation.page !== null && citation.source.toLowerCase().endsWith(".pdf");
  shown = { index, name: citation.source, start: citation.start, end: citation.end, page: citation.page, first: citation.page, pages: 0, isPdf, asText: !isPdf };
  byId("viewer-title").textContent = citation.title ? `${citation.title} (${citation.source})` : citation.source;
  byId("viewer").hidden = false;
  byId("viewer-title").focus();
  await show();
}

export function close() {
  byId("viewer").hidden = true;
  byId("viewer-body").replaceChildren();
  shown = null;
  opener?.focus();
}

async function show() {
  byId("viewer-pages").hidden = !shown.isPdf;
  byId("viewer-mode").textContent = shown.asText ? t("asPage") : t("asText");
  for (const id of ["page-before", "page-after", "page-number"]) byId(id).hidden = shown.asText;
  try {
    await (shown.asText ? showText() : showPage());
  } catch (error) {
    if (!shown || shown.asText) return tell(error.message);
    shown.asText = true; // a file that is gone, or cannot be drawn, still has its text
    shown.isPdf = false;
    await show();
  }
}

async function showText() {
  const asked = shown;
  const from = Math.max(0, shown.start - AROUND);
  const part = await json(`${path()}/text?start=${from}&end=${shown.end + AROUND}`);
  if (asked !== shown) return;
  const characters = Array.from(part.text); // offsets count characters, JavaScript's do not
  const text = (a, b) => characters.slice(a - from, b - from).join("");
  const mark = element("mark", { textContent: text(shown.start, shown.end), tabIndex: -1 });
  const body = element("pre", { class: "text" });
  if (from > 0) body.append(more(() => widen("start")), "\n");
  body.append(text(from, shown.start), mark, text(shown.end, part.end));
  if (part.end < part.characters) body.append("\n", more(() => widen("end")));
  byId("viewer-body").replaceChildren(body);
  mark.scrollIntoView({ block: "center" });
}

const more = (call) => element("button", { type: "button", textContent: t("more"), on: { click: call } });

// Show a further part of the text in place of the button.
async function widen(side) {
  const body = byId("viewer-body").firstChild;
  const button = side === "start" ? body.firstChild : body.lastChild;
  const edge = side === "start" ? (body.dataset.start ?? Math.max(0, shown.start - AROUND)) : (body.dataset.end ?? shown.end + AROUND);
  const [from, to] = side === "start" ? [Math.max(0, edge - 4 * AROUND), Number(edge)] : [Number(edge), Number(edge) + 4 * AROUND];
  const part = await json(`${path()}/text?start=${from}&end=${to}`);
  body.dataset[side] = side === "start" ? from : part.end;
  const left = side === "start" ? from > 0 : part.end < part.characters;
  const text = document.createTextNode(part.text);
  if (side === "start") button.after(text);
  else button.before(text);
  if (!left) button.remove();
}

async function showPage() {
  const asked = shown;
  const page = shown.page;
  const place = `${path()}/pages/${page}`;
  const marks = await json(`${place}/marks?start=${shown.start}&end=${shown.end}`);
  const width = Math.min(2000, Math.round(byId("viewer-body").clientWidth * (window.devicePixelRatio || 1)));
  const picture = await blob(`${place}?width=${width}`);
  if (asked !== shown || page !== shown.page) return URL.revokeObjectURL(picture);
  shown.pages = marks.pages;
  byId("page-number").textContent = t("pageOf", page, marks.pages);
  byId("page-before").disabled = page <= 1;
  byId("page-after").disabled = page >= marks.pages;
  const image = element("img", { src: picture, alt: `${shown.name}, ${t("page", page)}` });
  await image.decode();
  URL.revokeObjectURL(picture);
  const sheet = element("div", { class: "sheet" }, image);
  for (const [left, top, wide, high] of marks.rectangles) {
    const box = element("div", { class: "box" });
    Object.assign(box.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${wide * 100}%`, height: `${high * 100}%` });
    sheet.append(box);
  }
  const note = shown.end > shown.start && !marks.rectangles.length && page === shown.first ? element("p", { class: "faint", textContent: t("notOnPage") }) : null;
  byId("viewer-body").replaceChildren(...[note, sheet].filter(Boolean));
  byId("viewer-body").scrollTop = 0;
  sheet.querySelector(".box")?.scrollIntoView({ block: "center" });
}

function turn(by) {
  shown.page += by;
  show();
}

async function download() {
  try {
    const link = element("a", { href: await blob(`${path()}/file`), download: shown.name.split("/").pop() });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    tell(error.message);
  }
}

export function setUp() {
  byId("viewer-close").addEventListener("click", close);
  byId("page-before").addEventListener("click", () => turn(-1));
  byId("page-after").addEventListener("click", () => turn(1));
  byId("viewer-mode").addEventListener("click", () => {
    shown.asText = !shown.asText;
    show();
  });
  byId("viewer-file").addEventListener("click", download);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shown && !byId("prompt").open) close();
  });
}

// What is drawn, as a file: SVG with its colours in it, or PNG.

import { download } from "./export";

const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-size", "font-family", "font-weight", "text-anchor"];

const LARGEST = 8192;

/** A copy of a drawing that needs no style sheet. */
export function standalone(drawing: SVGSVGElement): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const from = [drawing, ...drawing.querySelectorAll<SVGElement>("*")];
  const to = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  from.forEach((one, at) => {
    const style = getComputedStyle(one);
    for (const name of DRAWN) to[at]?.setAttribute(name, style.getPropertyValue(name));
    to[at]?.removeAttribute("class");
  });
  const box = drawing.viewBox.baseVal.width ? drawing.viewBox.baseVal : drawing.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(box.width));
  copy.setAttribute("height", String(box.height));
  copy.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  const back = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", getComputedStyle(document.body).backgroundColor]] as const) back.setAttribute(name, value);
  copy.prepend(back);
  return new XMLSerializer().serializeToString(copy);
}

/** Save what is drawn on the page. */
export function saveDrawing(drawing: SVGSVGElement, name: string, form: "svg" | "png"): void {
  savePicture(standalone(drawing), name, form);
}

/** Save SVG. PNG: twice as large as it is seen, as far as a canvas may be. */
export function savePicture(text: string, name: string, form: "svg" | "png"): void {
  if (form === "svg") {
    download(new Blob([text], { type: "image/svg+xml" }), `${name}.svg`);
    return;
  }
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    const by = Math.min(2, LARGEST / Math.max(picture.width, picture.height));
    [canvas.width, canvas.height] = [Math.round(by * picture.width), Math.round(by * picture.height)];
    canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((content) => content && download(content, `${name}.png`));
  });
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

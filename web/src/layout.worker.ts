import { layout, type LayoutAsk } from "./layout";

addEventListener("message", (event: MessageEvent<{ number: number; asked: LayoutAsk }>) => {
  postMessage({ number: event.data.number, places: layout(event.data.asked) });
});

// What every chart needs: plotly, once for the page, and the colours of the page.

/** The colours of the page, so that light, dark and custom themes all work. */
export function inks(element) {
  const style = getComputedStyle(element);
  const colour = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    ink: colour("--propd-ink", "#1f2937"), faint: colour("--propd-faint", "#6b7280"),
    grid: colour("--propd-grid", "#e5e7eb"), blue: colour("--propd-bonus", "#0072B2"),
  };
}

let loading = null;
let standIn = null;

/** Who draws charts; null until Plotly is there, and where it will not come, its stand-in. */
export function chartEngine() {
  return window.Plotly || standIn;
}

/** This page has no Plotly: `engine` draws in its place. */
export function drawWith(engine) {
  standIn = engine;
}

/** One Plotly in one window: the file the server itself holds, loaded once. */
export function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ||= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { loading = null; reject(new Error("plotly")); };
    document.head.append(script);
  });
  return loading;
}

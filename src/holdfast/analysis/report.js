const shown = ["run", "mark", "radius", "certified accuracy", "95% interval", "published"];
const row = (name, value, clean) => `<tr><td class="key">${clean(name)}</td><td class="value">${clean(value)}</td></tr>`;
const formatTooltip = (found, clean) =>
  `<table>${shown.filter((name) => name in found).map((name) => row(name, found[name], clean)).join("")}</table>`;
for (const container of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(document.getElementById(container.dataset.chart).textContent);
  // The page's policy forbids eval and styles added later: Vega interprets its expressions (ast), and the page's own style
  // has what it needs.
  vegaEmbed(container, spec, {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    tooltip: {disableDefaultStyle: true, formatTooltip},
  });
}

// Draws deploy/dashboards/amp.json with Grafana's component library. What Grafana's dashboards and its plugins for
// Prometheus, "stat" and "timeseries" add to the library is done here: the grid, the variables of queries, the defaults.
import {
  applyFieldOverrides, createDataFrame, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType, getFieldDisplayValues,
  identityOverrideProcessor, ThemeContext,
} from "@grafana/data";
import { BigValue, GlobalStyles, Icon, PanelChrome, Text, TimeSeries } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import "@fontsource/inter/latin-400.css"; // Grafana's font, which the library asks for and does not have
import "@fontsource/inter/latin-500.css";

// What dashboard_test.go asks for: Unix seconds, and the interval at which Prometheus scrapes.
const asked = Object.fromEntries([...new URLSearchParams(location.search)].map(([name, value]) => [name, Number(value)]));
const { from, to, interval } = asked;

const theme = createTheme({ colors: { mode: "dark" } });
const timeZone = "utc";
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: "", to: "" } };

// The grid: 24 columns; pixels of a row, and between panels.
const [columns, high, gap] = [24, 30, 8];

function place({ x, y, w, h }) {
  const wide = (innerWidth - gap) / columns;
  return { left: x * wide + gap, top: y * (high + gap) + gap, width: w * wide - gap, height: h * (high + gap) - gap };
}

// The defaults of the panels' plugins.
const defaults = {
  stat: { color: { mode: "thresholds" } },
  timeseries: {
    color: { mode: "palette-classic" },
    custom: {
      drawStyle: "line", lineInterpolation: "linear", lineWidth: 1, fillOpacity: 0, pointSize: 5, showPoints: "auto",
      stacking: { mode: "none", group: "A" }, thresholdsStyle: { mode: "off" },
    },
  },
};

// fieldConfig is a panel's own, with the defaults. JSON has no -Infinity, where the first threshold begins.
function fieldConfig(panel) {
  const { type, fieldConfig: { defaults: own, overrides } } = panel;
  const all = { ...defaults[type], ...own, custom: { ...defaults[type].custom, ...own.custom } };
  if (own.thresholds) {
    all.thresholds = { ...own.thresholds, steps: own.thresholds.steps.map((s) => ({ ...s, value: s.value ?? -Infinity })) };
  }
  return { defaults: all, overrides };
}

// registry lists the properties of fields that a panel sets, for the library to apply them.
function registry({ defaults, overrides }) {
  const ids = new Set([
    ...Object.keys(defaults).filter((id) => id !== "custom"), ...Object.keys(defaults.custom).map((id) => "custom." + id),
    ...overrides.flatMap((o) => o.properties.map((p) => p.id)),
  ]);
  return new FieldConfigOptionsRegistry(() => [...ids].map((id) => ({
    id, name: id, path: id.replace(/^custom\./, ""), isCustom: id.startsWith("custom."),
    process: identityOverrideProcessor, shouldApply: (field) => field.type === FieldType.number,
  })));
}

// series asks Prometheus what a panel shows, and returns a frame for each series.
async function series(panel) {
  const answers = await Promise.all(panel.targets.map(async ({ expr, legendFormat, refId }) => {
    const query = expr
      .replaceAll("$namespace", ".*")
      .replaceAll("$__rate_interval", 4 * interval + "s");
    const parameters = new URLSearchParams({ query, start: from, end: to, step: interval });
    const answer = await (await fetch("api/v1/query_range?" + parameters)).json();
    if (answer.status !== "success") throw new Error(`${panel.title}: ${answer.error}`);
    return answer.data.result.map(({ metric, values }) => createDataFrame({
      refId,
      fields: [
        { name: "Time", type: FieldType.time, config: { interval: interval * 1000 }, values: values.map(([at]) => at * 1000) },
        {
          name: "Value", type: FieldType.number, labels: metric,
          config: { displayNameFromDS: legendFormat.replace(/{{(\w+)}}/g, (_, label) => metric[label] ?? "") },
          values: values.map(([, value]) => (value === "NaN" ? null : Number(value))),
        },
      ],
    }));
  }));
  const config = fieldConfig(panel);
  return applyFieldOverrides({
    data: answers.flat(), fieldConfig: config, fieldConfigRegistry: registry(config), replaceVariables: (text) => text, theme, timeZone,
  });
}

function Row({ title, gridPos }) {
  return (
    <div style={{ position: "absolute", display: "flex", alignItems: "center", gap, ...place(gridPos) }}>
      <Icon name="angle-down" />
      <Text element="h2" variant="h5">{title}</Text>
    </div>
  );
}

function Stat({ panel, frames, width, height }) {
  const { reduceOptions, ...options } = panel.options;
  const [{ display, sparkline }] = getFieldDisplayValues({
    data: frames, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: (text) => text, sparkline: true, theme, timeZone,
  });
  return (
    <BigValue graphMode="area" textMode="auto" {...options} {...{ theme, width, height }} value={display} sparkline={{ ...sparkline, timeRange }} />
  );
}

function Lines({ panel, frames, width, height }) {
  const legend = { showLegend: true, calcs: [], ...panel.options.legend };
  return <TimeSeries {...{ frames, width, height, timeRange, timeZone, legend }} options={panel.options} />;
}

function Panel({ panel, frames }) {
  const { width, height, ...at } = place(panel.gridPos);
  const Kind = { stat: Stat, timeseries: Lines }[panel.type];
  return (
    <div style={{ position: "absolute", width, height, ...at }}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(width, height) => (frames.length ? <Kind {...{ panel, frames, width, height }} /> : <Text>No data</Text>)}
      </PanelChrome>
    </div>
  );
}

async function draw() {
  const dashboard = await (await fetch("amp.json")).json();
  const rows = dashboard.panels.filter((p) => p.type === "row");
  const panels = await Promise.all(dashboard.panels.filter((p) => p.type !== "row").map(async (panel) => ({ panel, frames: await series(panel) })));
  createRoot(document.querySelector("main")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {rows.map((row) => <Row key={row.id} {...row} />)}
      {panels.map((p) => <Panel key={p.panel.id} {...p} />)}
    </ThemeContext.Provider>,
  );
  return panels.filter((p) => !p.frames.length).map((p) => `"${p.panel.title}" has no data`);
}

// say tells the test what is wrong.
const say = (problems) => fetch("said", { method: "POST", body: JSON.stringify(problems) });
addEventListener("error", (e) => say([e.message]));
draw().then(say, (e) => say([String(e.stack)]));

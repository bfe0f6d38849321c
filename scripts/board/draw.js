'use strict'
// The panels of the board as one picture.

const echarts = require('echarts')

const COLUMNS = 2
const [WIDTH, HEIGHT] = [1200, 240]
const PANEL = WIDTH / COLUMNS
const TEXT = '#57606a'

const UNITS = { s: ' s', ops: '/s', short: '' }

/** @param {number} value */
function short(value) {
  if (value >= 1000) return `${value / 1000}k`
  return String(Number(value.toPrecision(2)))
}

/**
 * @param {{ title: string, description: string, unit: string, lines: { name: string, points: [number, number][] }[] }[]} panels
 * @param {number} seconds
 * @returns {string} SVG
 */
function draw(panels, seconds) {
  const rows = Math.ceil(panels.length / COLUMNS)
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: rows * HEIGHT })
  const place = (i) => ({ left: (i % COLUMNS) * PANEL, top: Math.floor(i / COLUMNS) * HEIGHT })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: panels.map(({ title, description }, i) => ({
      text: title,
      subtext: description,
      itemGap: 2,
      left: place(i).left + 16,
      top: place(i).top + 8,
      textStyle: { fontSize: 14 },
      subtextStyle: { color: TEXT, fontSize: 11 },
    })),
    legend: panels.map(({ lines }, i) => ({
      data: lines.map(({ name }) => `${i} ${name}`),
      formatter: (name) => name.replace(/^\d+ /, ''),
      left: place(i).left + 48,
      top: place(i).top + HEIGHT - 26,
      width: PANEL - 80,
      itemHeight: 3,
      itemWidth: 16,
      icon: 'rect',
      textStyle: { color: TEXT, fontSize: 11 },
    })),
    grid: panels.map((_, i) => ({
      left: place(i).left + 60,
      top: place(i).top + 52,
      width: PANEL - 90,
      height: HEIGHT - 110,
    })),
    xAxis: panels.map((_, i) => ({
      gridIndex: i,
      type: 'value',
      min: 0,
      max: Math.floor(seconds),
      axisLabel: { formatter: '{value} s', color: TEXT, fontSize: 10, hideOverlap: true },
      splitLine: { show: false },
    })),
    yAxis: panels.map(({ unit }, i) => ({
      gridIndex: i,
      type: 'value',
      min: 0,
      axisLabel: { formatter: (value) => `${short(value)}${UNITS[unit]}`, color: TEXT, fontSize: 10 },
      splitNumber: 3,
    })),
    series: panels.flatMap(({ lines }, i) =>
      lines.map(({ name, points }) => ({
        name: `${i} ${name}`,
        type: 'line',
        xAxisIndex: i,
        yAxisIndex: i,
        showSymbol: points.length < 3,
        lineStyle: { width: 1.5 },
        areaStyle: { opacity: 0.08 },
        data: points.filter(([, value]) => Number.isFinite(value)),
      })),
    ),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

module.exports = { draw }

package main

import (
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// draw writes the curve as an SVG file: at the left the CPU time of a review and the time until its answer, at the right what
// is allocated for it. All axes are logarithmic: what is linear has the slope of the grey line, or less.
func (c *curve) draw(path string) error {
	canvas := vgsvg.New(18*vg.Centimeter, 8*vg.Centimeter)
	halves := draw.New(canvas)
	width := halves.Max.X - halves.Min.X
	for i, side := range []struct {
		y     string
		lines []line
	}{
		{"ms", []line{
			{"until the answer, median", color.RGBA{0x1f, 0x77, 0xb4, 0xff}, func(p point) float64 { return p.p50 }},
			{"CPU of amp", color.RGBA{0xd6, 0x27, 0x28, 0xff}, func(p point) float64 { return p.cost / 1000 }},
		}},
		{"KB", []line{{"allocated for a review", color.RGBA{0x2c, 0xa0, 0x2c, 0xff}, func(p point) float64 { return p.heap / 1000 }}}},
	} {
		p, err := c.plot(side.y, side.lines)
		if err != nil {
			return err
		}
		if i == 0 {
			p.Title.Text = c.title
		} else {
			p.Title.Text = " "
		}
		p.Draw(draw.Crop(halves, vg.Length(i)*width/2, -vg.Length(1-i)*width/2, 0, 0))
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// line is one value of all points.
type line struct {
	name  string
	color color.Color
	of    func(point) float64
}

func (c *curve) plot(y string, lines []line) (*plot.Plot, error) {
	p := logarithmic(c.x, y)
	for _, l := range lines {
		var points plotter.XYs
		for _, at := range c.points {
			points = append(points, plotter.XY{X: at.at, Y: l.of(at)})
		}
		if err := add(p, l.name, l.color, points); err != nil {
			return nil, err
		}
	}
	// Linear growth, from the first point of the last line.
	first, last := c.points[0], c.points[len(c.points)-1]
	from := lines[len(lines)-1].of(first)
	straight, err := plotter.NewLine(plotter.XYs{{X: first.at, Y: from}, {X: last.at, Y: from * last.at / first.at}})
	if err != nil {
		return nil, err
	}
	straight.Color, straight.Dashes = color.Gray{0xa0}, []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(straight)
	p.Legend.Add("linear", straight)
	return p, nil
}

// logarithmic returns a plot without lines, both of whose axes are logarithmic.
func logarithmic(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	return p
}

// add adds a line to a plot, and to its legend.
func add(p *plot.Plot, name string, of color.Color, points plotter.XYs) error {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, dots.Color = of, of
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
	return nil
}

//! The example configurations that `treewave new DIR --template NAME` writes.

/// An example configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Name on the command line; the file is `NAME.toml`.
    pub name: &'static str,
    /// One line on what it shows.
    pub summary: &'static str,
    /// The file.
    pub text: &'static str,
    /// Model file that the user has to supply; `None` if the template runs as it is.
    pub needs: Option<&'static str>,
}

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/", $name, ".toml"))
    };
}

/// All templates, the simplest first.
pub const TEMPLATES: [Template; 5] = [
    Template {
        name: "quickstart",
        summary: "a folded, faulted model with salt, made by formula; two stages, snapshots spilled to disk",
        text: text!("quickstart"),
        needs: None,
    },
    Template {
        name: "circle",
        summary: "a fast disc between two lines of sources and receivers; seconds on a laptop",
        text: text!("circle"),
        needs: None,
    },
    Template {
        name: "three-layers",
        summary: "the example of the seed paper with its own wave equation: gradients by treeverse",
        text: text!("three-layers"),
        needs: None,
    },
    Template {
        name: "marmousi",
        summary: "the Marmousi model at 20 m with surface data, 3 Hz first",
        text: text!("marmousi"),
        needs: Some("smiwiz_marmousi_461x151_20m.h5"),
    },
    Template {
        name: "overthrust",
        summary: "a section of the SEG/EAGE Overthrust model at 25 m",
        text: text!("overthrust"),
        needs: Some("overthrust_judi_401x121_25m.h5"),
    },
];

/// The template of this name.
pub fn template(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

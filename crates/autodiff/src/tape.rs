//! Reverse mode: a stack of primitive operations, pushed forward and popped backward.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use treewave_core::Real;

use crate::{Dual, Var};

/// The operations of one tape, each as its arguments and the slopes by them.
///
/// Three flat arrays that grow and shrink together: an operation with `k` arguments takes `1 + k (4 + bytes of T)` bytes.
#[doc(hidden)]
pub struct Stack<T> {
    /// Number of arguments of each operation; 0 for an input.
    counts: Vec<u8>,
    /// Places of the arguments on the stack, over all operations.
    arguments: Vec<u32>,
    /// Derivatives of the operations by these arguments.
    slopes: Vec<T>,
    /// Room for the adjoints, kept from tape to tape.
    adjoints: Vec<T>,
    inputs: usize,
    /// The open tape, or 0.
    tape: u32,
}

impl<T: Real> Stack<T> {
    const fn new() -> Self {
        Stack {
            counts: Vec::new(),
            arguments: Vec::new(),
            slopes: Vec::new(),
            adjoints: Vec::new(),
            inputs: 0,
            tape: 0,
        }
    }

    /// Pushes an operation; arguments that are constants are left out.
    #[inline]
    pub(crate) fn push<const K: usize>(&mut self, value: T, arguments: [(Var<T>, T); K]) -> Var<T> {
        let mut count = 0;
        for (argument, slope) in arguments {
            if argument.tape != 0 {
                assert!(argument.tape == self.tape, "a variable was used after its tape ended, or on another thread");
                self.arguments.push(argument.place);
                self.slopes.push(slope);
                count += 1;
            }
        }
        let place = u32::try_from(self.counts.len()).expect("a tape holds at most 2³² operations; cut it into steps");
        self.counts.push(count);
        Var { value, place, tape: self.tape }
    }

    /// Pops all operations, last one first, and spreads the adjoint of each over its arguments.
    fn pop(&mut self, seeds: &[(Var<T>, T)]) {
        self.adjoints.clear();
        self.adjoints.resize(self.counts.len(), T::ZERO);
        for (var, seed) in seeds.iter().filter(|(var, _)| var.tape != 0) {
            assert!(var.tape == self.tape, "a result does not belong to the tape that is pulled back");
            self.adjoints[var.place as usize] += *seed;
        }
        while let Some(count) = self.counts.pop() {
            let adjoint = self.adjoints[self.counts.len()];
            for _ in 0..count {
                let (argument, slope) = self.arguments.pop().zip(self.slopes.pop()).expect("pushed together");
                self.adjoints[argument as usize] += adjoint * slope;
            }
        }
    }

    fn clear(&mut self) {
        self.counts.clear();
        self.arguments.clear();
        self.slopes.clear();
        (self.inputs, self.tape) = (0, 0);
    }
}

/// A scalar that a tape can be made of: `f32`, `f64`, and dual numbers over `f64` with up to six directions.
///
/// Each has a stack per thread. A tape of dual numbers gives products with the Hessian: the tangent of the gradient.
pub trait TapeScalar: Real {
    /// Works on this thread's stack.
    #[doc(hidden)]
    fn with_stack<R>(work: impl FnOnce(&mut Stack<Self>) -> R) -> R;
}

macro_rules! tape_scalars {
    ($($scalar:ty),*) => {$(
        impl TapeScalar for $scalar {
            #[inline]
            fn with_stack<R>(work: impl FnOnce(&mut Stack<Self>) -> R) -> R {
                thread_local! {
                    static STACK: RefCell<Stack<$scalar>> = const { RefCell::new(Stack::new()) };
                }
                STACK.with_borrow_mut(work)
            }
        }
    )*};
}

tape_scalars!(f32, f64, Dual<f64, 1>, Dual<f64, 2>, Dual<f64, 3>, Dual<f64, 4>, Dual<f64, 5>, Dual<f64, 6>);

/// What a tape holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeUsage {
    /// Variables that the program started from.
    pub inputs: usize,
    /// Primitive operations recorded. Those on constants alone are computed and not recorded.
    pub operations: usize,
    /// Bytes of the stack, and of the adjoints that pulling it back will take.
    pub bytes: usize,
}

/// An open tape: what this thread computes with its variables is recorded until it is pulled back or dropped.
///
/// Every operation `v = φ(u₁, u₂, …)` is pushed with its slopes; pulling back pops them and does, for each argument,
///
/// ```text
/// ū_i += v̄ ∂φ/∂u_i ,    v̄ = ∂(objective)/∂v
/// ```
///
/// One tape per scalar and thread is open at a time. Branches and loops leave no trace on it, only the operations that were carried
/// out; a variable that is overwritten lives on as a place on the stack.
///
/// ```
/// use treewave_autodiff::Tape;
/// use treewave_core::Real;
/// // y = z sin x and its gradient at x = 2, z = 3
/// let mut tape = Tape::<f64>::start();
/// let (x, z) = (tape.variable(2.0), tape.variable(3.0));
/// let y = z * x.sin();
/// assert_eq!(tape.usage().operations, 2);
/// let adjoints = tape.pull_back(&[(y, 1.0)]);
/// assert_eq!([adjoints.of(x), adjoints.of(z)], [3.0 * 2.0_f64.cos(), 2.0_f64.sin()]);
/// ```
///
/// # References
/// Griewank & Walther (2008), *Evaluating Derivatives*, §3.2; Liu & Xu (2021), §2.2.
pub struct Tape<T: TapeScalar> {
    tape: u32,
    /// The stack belongs to a thread, so that a tape must not cross.
    stays_here: PhantomData<*const T>,
}

impl<T: TapeScalar> Tape<T> {
    /// Opens the tape of this thread.
    ///
    /// # Panics
    /// If it is open already.
    pub fn start() -> Self {
        // Numbers are unique over all threads, so that a variable on a wrong thread is noticed.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let tape = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        T::with_stack(|stack| {
            assert!(stack.tape == 0, "a tape of this scalar is open on this thread");
            stack.tape = tape;
        });
        Tape { tape, stays_here: PhantomData }
    }

    /// An input: derivatives by it can be asked for.
    pub fn variable(&mut self, value: T) -> Var<T> {
        T::with_stack(|stack| {
            stack.inputs += 1;
            stack.push(value, [])
        })
    }

    /// What was recorded so far.
    pub fn usage(&self) -> TapeUsage {
        T::with_stack(|stack| {
            let (nodes, arguments) = (stack.counts.len(), stack.arguments.len());
            let bytes = nodes * (1 + size_of::<T>()) + arguments * (size_of::<u32>() + size_of::<T>());
            TapeUsage { inputs: stack.inputs, operations: nodes - stack.inputs, bytes }
        })
    }

    /// Pops the tape: the derivatives of `Σ seed · result` by everything on it.
    pub fn pull_back(self, seeds: &[(Var<T>, T)]) -> Adjoints<T> {
        let adjoints = T::with_stack(|stack| {
            stack.pop(seeds);
            std::mem::take(&mut stack.adjoints)
        });
        Adjoints { tape: self.tape, adjoints }
    }
}

impl<T: TapeScalar> Drop for Tape<T> {
    fn drop(&mut self) {
        T::with_stack(Stack::clear);
    }
}

/// The derivatives by all variables of a tape that was pulled back.
pub struct Adjoints<T: TapeScalar> {
    tape: u32,
    adjoints: Vec<T>,
}

impl<T: TapeScalar> Adjoints<T> {
    /// The derivative by one variable; 0 for a constant.
    ///
    /// # Panics
    /// If the variable is of another tape.
    pub fn of(&self, variable: Var<T>) -> T {
        if variable.tape == 0 {
            return T::ZERO;
        }
        assert!(variable.tape == self.tape, "the variable is not of this tape");
        self.adjoints[variable.place as usize]
    }
}

impl<T: TapeScalar> Drop for Adjoints<T> {
    /// Gives the memory to the next tape.
    fn drop(&mut self) {
        let adjoints = std::mem::take(&mut self.adjoints);
        T::with_stack(|stack| stack.adjoints = adjoints);
    }
}

/// A value with its gradient, and what the tape took.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient<T> {
    /// The value.
    pub value: T,
    /// Its derivatives by the inputs.
    pub gradient: Vec<T>,
    /// What the tape held.
    pub usage: TapeUsage,
}

/// Value and gradient of a program, at a small multiple of its time whatever the number of inputs.
///
/// ```
/// use treewave_autodiff::gradient;
/// let squares = |x: &[treewave_autodiff::Var<f64>]| x[0] * x[0] + x[1] * x[1];
/// assert_eq!(gradient(squares, &[3.0, 4.0]).gradient, [6.0, 8.0]);
/// ```
pub fn gradient<T: TapeScalar>(program: impl FnOnce(&[Var<T>]) -> Var<T>, at: &[T]) -> Gradient<T> {
    let mut tape = Tape::start();
    let inputs: Vec<Var<T>> = at.iter().map(|&value| tape.variable(value)).collect();
    let result = program(&inputs);
    let usage = tape.usage();
    let adjoints = tape.pull_back(&[(result, T::ONE)]);
    Gradient { value: result.value, gradient: inputs.iter().map(|&input| adjoints.of(input)).collect(), usage }
}
